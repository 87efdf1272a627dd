//! Endpoints and the connections to them: pooling, connecting, ejection.
//!
//! A pooled connection is a hyper sender together with its connection future. Whoever holds the pair
//! polls both in its own task, so a proxied request wakes one task, not two.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::body::RequestBody;
use crate::limits;

pub(crate) type Sender = http1::SendRequest<RequestBody>;
type Driver = Pin<Box<http1::Connection<TokioIo<TcpStream>, RequestBody>>>;

/// One place where a version listens.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) addr: SocketAddr,
    /// Idle connections, one list per worker so that workers do not meet.
    idle: Box<[Mutex<Vec<Link>>]>,
    health: Health,
}

impl Endpoint {
    pub(crate) fn new(addr: SocketAddr, workers: usize) -> Self {
        Self { addr, idle: (0..workers).map(|_| Mutex::default()).collect(), health: Health::default() }
    }

    /// An idle connection that is still open.
    pub(crate) fn take(&self, worker: usize, now: Instant) -> Option<Link> {
        loop {
            let mut link = self.idle[worker].lock().pop()?;
            if now.saturating_duration_since(link.idle_since) < limits::IDLE_TIMEOUT && link.settle() {
                link.reused = true;
                return Some(link);
            }
        }
    }

    /// Keeps a connection for the next request if its last exchange is over on both sides.
    pub(crate) fn put(&self, worker: usize, mut link: Link) {
        if !link.sender.is_ready() && !link.settle() {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = self.idle[worker].lock();
        if idle.len() < limits::IDLE_PER_ENDPOINT_MAX {
            idle.push(link);
        }
    }

    /// Closes connections idle for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        for idle in &self.idle {
            idle.lock().retain(|link| now.saturating_duration_since(link.idle_since) < limits::IDLE_TIMEOUT);
        }
    }

    pub(crate) fn is_ejected(&self, clock_ms: u64) -> bool {
        self.health.until_ms.load(Relaxed) > clock_ms
    }

    pub(crate) fn succeeded(&self) {
        if self.health.failures.load(Relaxed) != 0 {
            self.health.failures.store(0, Relaxed);
            self.health.ejections.store(0, Relaxed);
        }
    }

    pub(crate) fn failed(&self, clock_ms: u64) {
        let failures = self.health.failures.fetch_add(1, Relaxed) + 1;
        if failures < limits::FAILURES_TO_EJECT || self.is_ejected(clock_ms) {
            return;
        }
        let times = self.health.ejections.fetch_add(1, Relaxed);
        let length = ejection(times);
        self.health.until_ms.store(clock_ms + length.as_millis() as u64, Relaxed);
        tracing::warn!(endpoint = %self.addr, failures, ?length, "endpoint ejected");
    }
}

/// Length of the ejection after `times` earlier ones.
fn ejection(times: u32) -> Duration {
    limits::EJECTION_BASE.saturating_mul(1_u32.checked_shl(times.min(16)).unwrap_or(u32::MAX)).min(limits::EJECTION_MAX)
}

#[derive(Debug, Default)]
struct Health {
    failures: AtomicU32,
    ejections: AtomicU32,
    /// On the router's clock.
    until_ms: AtomicU64,
}

/// A connection to an endpoint, driven by its holder.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) sender: Sender,
    driver: Option<Driver>,
    idle_since: Instant,
    pub(crate) reused: bool,
}

/// A request that got no response head.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) error: hyper::Error,
    /// The request, when not a byte of it was sent.
    pub(crate) unsent: Option<Request<RequestBody>>,
}

/// Opens a TCP connection.
pub(crate) async fn connect(addr: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(addr))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Link {
    pub(crate) async fn open(addr: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = connect(addr, timeout).await?;
        let (sender, connection) =
            http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Some(Box::pin(connection)), idle_since: Instant::now(), reused: false })
    }

    /// Lets the connection notice what has happened on it; false when it cannot take a request.
    fn settle(&mut self) -> bool {
        // Nobody waits for this connection yet, so nobody needs waking.
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Moves bytes. A finished connection is dropped, which tells its requests.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }

    /// Sends the request and waits for the response head.
    ///
    /// Only `drive` is polled with the task's waker: the response can arrive through it alone, and a
    /// waker left with hyper's channel would make every response wake its own task once more.
    pub(crate) async fn exchange(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            if let Some(driver) = &mut self.driver
                && driver.as_mut().poll(cx).is_ready()
            {
                self.driver = None;
            }
            let mut quiet = Context::from_waker(Waker::noop());
            match answer.as_mut().poll(&mut quiet) {
                Poll::Ready(answer) => Poll::Ready(
                    answer.map_err(|mut fault| Unanswered { unsent: fault.take_message(), error: fault.into_error() }),
                ),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn idle_connections_are_kept_for_a_time_and_up_to_a_number() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::new(listener.local_addr().unwrap(), 1);
        let mut accepted = Vec::new();
        for _ in 0..=limits::IDLE_PER_ENDPOINT_MAX {
            let link = Link::open(endpoint.addr, Duration::from_secs(5)).await.unwrap();
            accepted.push(listener.accept().await.unwrap());
            endpoint.put(0, link);
        }
        assert_eq!(endpoint.idle[0].lock().len(), limits::IDLE_PER_ENDPOINT_MAX);
        let now = Instant::now();
        assert!(endpoint.take(0, now).is_some());
        endpoint.sweep(now);
        assert_eq!(endpoint.idle[0].lock().len(), limits::IDLE_PER_ENDPOINT_MAX - 1);
        endpoint.sweep(now + limits::IDLE_TIMEOUT);
        assert!(endpoint.idle[0].lock().is_empty());
        let late = Link::open(endpoint.addr, Duration::from_secs(5)).await.unwrap();
        endpoint.put(0, late);
        assert!(endpoint.take(0, Instant::now() + limits::IDLE_TIMEOUT).is_none());
    }

    #[test]
    fn ejections_double_up_to_a_limit() {
        let lengths: Vec<u64> = [0, 1, 2, 4, 5, 40].map(|n| ejection(n).as_secs()).to_vec();
        assert_eq!(lengths, [1, 2, 4, 16, 30, 30]);
    }

    #[test]
    fn an_endpoint_is_ejected_and_returns() {
        let endpoint = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 1)), 1);
        for _ in 1..limits::FAILURES_TO_EJECT {
            endpoint.failed(0);
        }
        assert!(!endpoint.is_ejected(0));
        endpoint.failed(0);
        assert!(endpoint.is_ejected(999) && !endpoint.is_ejected(1000));
        endpoint.failed(1000);
        assert!(endpoint.is_ejected(2999), "one more failure ejects it for twice as long");
        endpoint.succeeded();
        endpoint.failed(3000);
        assert!(!endpoint.is_ejected(3000), "a success starts the count again");
    }
}
