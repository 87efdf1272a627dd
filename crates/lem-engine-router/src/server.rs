//! Listening: workers accept connections and serve them until the router stops.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::HeaderValue;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::framing::{Tracked, Verdict};
use crate::limits;
use crate::proxy::{self, Client};
use crate::router::Shared;

/// Between two looks for connections idle too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// After accept failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a client beyond the connection limit gets.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 21\r\nconnection: close\r\n\r\ntoo many connections\n";
/// Time such a client has to read it.
const FULL_TIMEOUT: Duration = Duration::from_secs(1);

/// Binds the address.
pub(crate) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(limits::BACKLOG)?.into_std()
}

/// Accepts until the router stops, then waits for the connections this router still has.
pub(crate) async fn work(shared: Arc<Shared>, listener: std::net::TcpListener, worker: usize) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, addr)) => admit(&shared, worker, stream, addr),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = sweep.tick() => if worker == 0 { shared.sweep(Instant::now()) },
        }
    }
    drop(listener);
    shared.connections.close();
    tokio::select! {
        () = shared.connections.wait() => {}
        () = shared.kill.cancelled() => {}
    }
    Ok(())
}

fn admit(shared: &Arc<Shared>, worker: usize, stream: TcpStream, addr: SocketAddr) {
    if shared.connections.len() >= shared.connections_max {
        shared.turned_away.fetch_add(1, Relaxed);
        tokio::spawn(turn_away(stream));
        return;
    }
    shared.connections.spawn(serve(shared.clone(), worker, stream, addr));
}

/// Reading what the client sends keeps the kernel from resetting the connection under the answer.
async fn turn_away(mut stream: TcpStream) {
    let told = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    };
    _ = tokio::time::timeout(FULL_TIMEOUT, told).await;
}

/// What a connection speaks.
enum Protocol {
    Http1,
    Http2,
}

/// HTTP/2 with prior knowledge begins with "PRI", which no HTTP/1 method may be (RFC 9113 section 3.4).
async fn protocol(stream: &TcpStream, timeout: Duration) -> Option<Protocol> {
    let mut first = [0; 3];
    match tokio::time::timeout(timeout, stream.peek(&mut first)).await {
        Ok(Ok(n)) if n > 0 => Some(if &first == b"PRI" { Protocol::Http2 } else { Protocol::Http1 }),
        _ => None,
    }
}

async fn serve(shared: Arc<Shared>, worker: usize, stream: TcpStream, addr: SocketAddr) {
    let protocol = tokio::select! {
        protocol = protocol(&stream, shared.head_timeout) => protocol,
        () = shared.stop.cancelled() => None,
    };
    let Some(protocol) = protocol else {
        return; // closed, silent, or the router stops
    };
    _ = stream.set_nodelay(true); // a slower answer at worst
    let verdict = Arc::new(Verdict::default());
    let client = Arc::new(Client {
        shared: shared.clone(),
        worker,
        addr,
        addr_text: HeaderValue::try_from(addr.ip().to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        verdict: verdict.clone(),
    });
    let service = service_fn(move |request| {
        let client = client.clone();
        async move { Ok::<_, Infallible>(proxy::answer(client, request).await) }
    });
    let ended = match protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(shared.head_timeout)
                .max_header_size(limits::HEAD_BYTES_MAX)
                .max_headers(limits::HEADER_LINES_MAX)
                .serve_connection(TokioIo::new(Tracked::new(stream, verdict)), service)
                .with_upgrades();
            follow(&shared, pin!(connection), |connection| connection.graceful_shutdown()).await
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(shared.head_timeout)
                .max_header_list_size(limits::HEAD_BYTES_MAX as u32)
                .max_concurrent_streams(limits::STREAMS_MAX)
                .serve_connection(TokioIo::new(stream), service);
            follow(&shared, pin!(connection), |connection| connection.graceful_shutdown()).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %addr, %error, "connection ended");
    }
}

/// Drives a connection to its end, gently when the router stops, at once when it is killed.
///
/// The stop signals register this task's waker once; polling them on every wake of the connection
/// would take their lock for each request.
async fn follow<C>(shared: &Shared, mut connection: Pin<&mut C>, end: impl Fn(Pin<&mut C>)) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut stopping = pin!(shared.stop.cancelled());
    let mut killing = pin!(shared.kill.cancelled());
    let (mut listens, mut told) = (false, false);
    std::future::poll_fn(|cx| {
        if !listens {
            listens = true;
            _ = stopping.as_mut().poll(cx);
        }
        if shared.stopping.load(Relaxed) {
            if !told {
                told = true;
                end(connection.as_mut());
            }
            if killing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
        }
        connection.as_mut().poll(cx)
    })
    .await
}
