//! Copies of requests to another version. The copy never touches the request it was made from: it has
//! its own task and its own connection, and when too many are under way it is not made.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Uri};
use hyper::body::{Body, Incoming};

use crate::body::RequestBody;
use crate::plan::MirrorMethods;
use crate::table::{AppState, AppTable};
use crate::upstream::{Endpoint, Link};

/// Marks a copy, so that the mirrored version can tell.
const X_MIRROR: HeaderName = HeaderName::from_static("x-lem-mirror");

/// A copy not yet sent. Dropping it counts it as dropped.
#[derive(Debug)]
pub(crate) struct Copy {
    request: Option<(Method, Uri, HeaderMap)>,
    place: Place,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

/// A place among the copies under way.
#[derive(Debug)]
struct Place {
    app: Arc<AppState>,
    endpoint: Arc<Endpoint>,
    worker: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.mirror.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A copy of this request, if the plan wants one and there is room.
pub(crate) fn copy(
    table: &AppTable,
    chosen: usize,
    head: &http::request::Parts,
    worker: usize,
    clock_ms: u64,
) -> Option<Copy> {
    let mirror = table.mirror.as_ref()?;
    let wanted = mirror.methods == MirrorMethods::All || head.method.is_safe();
    let draining = table.routes[mirror.route].version.draining.load(Relaxed);
    if !wanted || mirror.route == chosen || draining {
        return None;
    }
    let counts = &table.state.mirror;
    let Some(endpoint) = table.routes[mirror.route].endpoint(clock_ms, None) else {
        counts.dropped.fetch_add(1, Relaxed);
        return None;
    };
    if counts.in_flight.fetch_add(1, Relaxed) >= mirror.in_flight_max {
        counts.in_flight.fetch_sub(1, Relaxed);
        counts.dropped.fetch_add(1, Relaxed);
        return None;
    }
    let mut headers = head.headers.clone();
    headers.insert(X_MIRROR, table.routes[chosen].version.header.clone());
    Some(Copy {
        request: Some((head.method.clone(), head.uri.clone(), headers)),
        place: Place { app: table.state.clone(), endpoint, worker },
        connect_timeout: table.connect_timeout,
        answer_timeout: table.upstream_timeout,
    })
}

impl Copy {
    /// Sends the copy in a task of its own.
    pub(crate) fn send(mut self, body: Bytes) {
        let Some((method, uri, headers)) = self.request.take() else {
            return;
        };
        let mut request = Request::new(if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(body) });
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        tokio::spawn(async move {
            let answered =
                matches!(tokio::time::timeout(self.answer_timeout, self.exchange(request)).await, Ok(Some(())));
            let counts = &self.place.app.mirror;
            if answered { &counts.answered } else { &counts.failed }.fetch_add(1, Relaxed);
        });
    }

    async fn exchange(&self, request: Request<RequestBody>) -> Option<()> {
        let Place { endpoint, worker, .. } = &self.place;
        let mut link = match endpoint.take(*worker, Instant::now()) {
            Some(link) => link,
            None => Link::open(endpoint.addr, self.connect_timeout).await.ok()?,
        };
        let response = link.exchange(request).await.ok()?;
        discard(&mut link, response.into_body()).await?;
        endpoint.put(*worker, link);
        Some(())
    }
}

/// Reads a body to its end.
async fn discard(link: &mut Link, mut body: Incoming) -> Option<()> {
    std::future::poll_fn(|cx| {
        let mut quiet = std::task::Context::from_waker(Waker::noop());
        let mut driven = false;
        loop {
            match std::pin::Pin::new(&mut body).poll_frame(&mut quiet) {
                Poll::Ready(None) => return Poll::Ready(Some(())),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(_))) => driven = false,
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => {
                    link.drive(cx);
                    driven = true;
                }
            }
        }
    })
    .await
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.request.is_some() {
            self.place.app.mirror.dropped.fetch_add(1, Relaxed);
        }
    }
}
