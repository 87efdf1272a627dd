//! One request's way to a version and back, with second tries where they are safe.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::body::{Progress, RequestBody, Watch};
use crate::limits;
use crate::observe::Upstream;
use crate::router::Shared;
use crate::table::{AppTable, Route};
use crate::upstream::{Endpoint, Link, Unanswered};

/// Why there is no answer from the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NoHealthyVersion,
    Connect,
    Protocol,
    Timeout,
    BodyTooLarge,
    BodyLate,
    ClientFailed,
}

impl Fault {
    /// What the client is told.
    pub(crate) fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoHealthyVersion => (StatusCode::SERVICE_UNAVAILABLE, "no healthy version\n"),
            Self::Connect => (StatusCode::BAD_GATEWAY, "cannot connect to the version\n"),
            Self::Protocol => (StatusCode::BAD_GATEWAY, "the version broke off or answered no HTTP\n"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "the version did not answer in time\n"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request body over the limit\n"),
            Self::BodyLate => (StatusCode::REQUEST_TIMEOUT, "request body did not arrive in time\n"),
            Self::ClientFailed => (StatusCode::BAD_REQUEST, "request body broke off\n"),
        }
    }

    /// Whether the version is to blame.
    pub(crate) fn upstream(self) -> Upstream {
        match self {
            Self::NoHealthyVersion | Self::Connect | Self::Protocol | Self::Timeout => Upstream::Failed,
            Self::BodyTooLarge | Self::BodyLate | Self::ClientFailed => Upstream::Fine,
        }
    }
}

/// What an exchange needs to know.
pub(crate) struct Trip<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) worker: usize,
    pub(crate) app: &'a AppTable,
    pub(crate) route: &'a Route,
    pub(crate) watch: &'a Watch,
}

/// A response head, and the connection its body comes over.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) link: Link,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// The tries of one request so far.
#[derive(Default)]
struct Tries {
    count: u32,
    /// The endpoint that failed last; another is preferred.
    avoid: Option<SocketAddr>,
    /// Pooled connections have proved stale.
    fresh: bool,
}

enum Failure {
    Late,
    Broken(Box<Unanswered>),
}

impl Trip<'_> {
    /// Sends the request, if need be again: to another endpoint when it could not connect, over a new
    /// connection when a pooled one turned out closed, and for idempotent requests when it broke off.
    pub(crate) async fn exchange(&self, mut request: Request<RequestBody>) -> Result<Answered, Fault> {
        let mut tries = Tries::default();
        loop {
            let (endpoint, mut link) = self.link(&mut tries).await?;
            let spare = replayable(&request);
            match self.timed(&mut link, request).await {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(Fault::Protocol); // nobody asked to switch
                }
                Ok(response) => {
                    endpoint.succeeded();
                    return Ok(Answered { response, link, endpoint });
                }
                Err(Failure::Late) => return Err(self.late(&endpoint)),
                Err(Failure::Broken(unanswered)) => {
                    request = self.again(&mut tries, &endpoint, link.reused, *unanswered, spare)?;
                }
            }
        }
    }

    /// A connection to a healthy endpoint, pooled if possible.
    async fn link(&self, tries: &mut Tries) -> Result<(Arc<Endpoint>, Link), Fault> {
        loop {
            tries.count += 1;
            let now = Instant::now();
            let clock_ms = self.shared.clock_ms(now);
            let found = self.route.endpoint(clock_ms, tries.avoid);
            let endpoint = found.ok_or(Fault::NoHealthyVersion)?;
            if !tries.fresh
                && let Some(link) = endpoint.take(self.worker, now)
            {
                return Ok((endpoint, link));
            }
            let error = match Link::open(endpoint.addr, self.app.connect_timeout).await {
                Ok(link) => return Ok((endpoint, link)),
                Err(error) => error,
            };
            tracing::debug!(endpoint = %endpoint.addr, %error, "cannot connect");
            self.blame(&endpoint);
            tries.avoid = Some(endpoint.addr);
            let other = self.route.endpoint(clock_ms, tries.avoid);
            if other.is_none_or(|other| other.addr == endpoint.addr) || !self.may_retry(tries) {
                return Err(Fault::Connect);
            }
        }
    }

    /// One try within the plan's time. The clock starts again as long as the request body moves.
    async fn timed(&self, link: &mut Link, request: Request<RequestBody>) -> Result<Response<Incoming>, Failure> {
        let mut exchange = std::pin::pin!(link.exchange(request));
        let mut frames = self.watch.frames();
        loop {
            match tokio::time::timeout(self.app.upstream_timeout, exchange.as_mut()).await {
                Ok(answer) => return answer.map_err(|unanswered| Failure::Broken(Box::new(unanswered))),
                Err(_) if self.watch.frames() != frames => frames = self.watch.frames(),
                Err(_) => return Err(Failure::Late),
            }
        }
    }

    fn late(&self, endpoint: &Endpoint) -> Fault {
        if self.watch.progress() == Progress::Waiting {
            return Fault::BodyLate;
        }
        self.blame(endpoint);
        Fault::Timeout
    }

    /// The request to send again, or why not.
    fn again(
        &self,
        tries: &mut Tries,
        endpoint: &Endpoint,
        reused: bool,
        unanswered: Unanswered,
        spare: Option<Request<RequestBody>>,
    ) -> Result<Request<RequestBody>, Fault> {
        match self.watch.progress() {
            Progress::TooLarge => return Err(Fault::BodyTooLarge),
            Progress::ClientFailed => return Err(Fault::ClientFailed),
            Progress::Streaming | Progress::Waiting | Progress::Complete => {}
        }
        tracing::debug!(endpoint = %endpoint.addr, error = %unanswered.error, reused, "no answer");
        if !reused {
            self.blame(endpoint);
            tries.avoid = Some(endpoint.addr);
        }
        let request = unanswered.unsent.or(spare).ok_or(Fault::Protocol)?;
        tries.fresh = true;
        // That a pooled connection closes between two requests is nobody's failure and costs no budget.
        let free = reused && tries.count < limits::ATTEMPTS_MAX;
        if free {
            self.route.version.stats.retried.fetch_add(1, Relaxed);
        } else if !self.may_retry(tries) {
            return Err(Fault::Protocol);
        }
        Ok(request)
    }

    fn may_retry(&self, tries: &Tries) -> bool {
        let may = tries.count < limits::ATTEMPTS_MAX && self.app.state.budget.spend();
        if may {
            self.route.version.stats.retried.fetch_add(1, Relaxed);
        }
        may
    }

    fn blame(&self, endpoint: &Endpoint) {
        endpoint.failed(self.shared.clock_ms(Instant::now()));
    }
}

/// A second copy of a request that may be sent twice: idempotent and without a body.
fn replayable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !matches!(request.body(), RequestBody::Empty) {
        return None;
    }
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
