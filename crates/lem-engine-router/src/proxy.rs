//! One request: checked, routed, sent to a version, and its answer sent back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Instant, SystemTime};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use crate::body::{RequestBody, ResponseBody, Watch};
use crate::exchange::{Answered, Fault, Trip};
use crate::flight::{Flight, Note};
use crate::framing::{self, Verdict};
use crate::router::Shared;
use crate::table::{AppTable, Choice};
use crate::{headers, mirror, tunnel};

/// What the requests of one client connection share.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) worker: usize,
    pub(crate) addr: SocketAddr,
    pub(crate) addr_text: HeaderValue,
    pub(crate) verdict: Arc<Verdict>,
}

/// A request that knows where it goes.
pub(crate) struct Routed {
    pub(crate) app: Arc<AppTable>,
    pub(crate) choice: Choice,
    pub(crate) flight: Box<Flight>,
}

/// Answers a request; whatever goes wrong is a status.
pub(crate) async fn answer(client: Arc<Client>, request: Request<Incoming>) -> Response<ResponseBody> {
    let started = Instant::now();
    let (mut head, body) = request.into_parts();
    if let Err(refused) = framing::check(&head, &client.verdict) {
        client.shared.refused.fetch_add(1, Relaxed);
        return closing(text(refused.status, refused.reason, None));
    }
    let routed = match route(&client, &mut head, started) {
        Ok(routed) => routed,
        Err(response) => return *response,
    };
    if body.size_hint().lower() > routed.app.plan.body_bytes_max {
        return closing(failed(routed.flight, Fault::BodyTooLarge));
    }
    let protocol = tunnel::protocol(&head, &body);
    headers::strip(&mut head.headers);
    head.headers.remove(header::EXPECT); // answered by hyper when the version reads the body
    headers::forward(&mut head.headers, &client.addr_text, client.shared.forwarded);
    if let Some(protocol) = protocol
        && let Some(ours) = head.extensions.remove::<OnUpgrade>()
    {
        return Box::pin(tunnel::open(client, routed, head, protocol, ours)).await;
    }
    forward(&client, routed, head, body).await
}

/// Finds the app and the version and counts the request in.
fn route(client: &Client, head: &mut request::Parts, started: Instant) -> Result<Routed, Box<Response<ResponseBody>>> {
    normalise(head);
    let shared = &client.shared;
    let clock_ms = shared.clock_ms(started);
    // A version can begin to drain between choosing and entering; the next look sees it.
    loop {
        let table = shared.table.load();
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let Some(app) = table.find(host.unwrap_or(""), head.uri.path()) else {
            shared.unrouted.fetch_add(1, Relaxed);
            return Err(Box::new(text(StatusCode::NOT_FOUND, "no app answers for this host and path\n", None)));
        };
        let Some(choice) = app.choose(&head.headers, clock_ms) else {
            app.state.unhealthy.fetch_add(1, Relaxed);
            let (status, reason) = Fault::NoHealthyVersion.answer();
            return Err(Box::new(text(status, reason, None)));
        };
        let version = &app.routes[choice.route].version;
        if !version.enter() {
            continue;
        }
        let mut flight = Box::new(Flight::new(version.clone(), started));
        flight.note = shared.access_log.as_ref().map(|log| {
            Box::new(Note {
                log: log.clone(),
                time: SystemTime::now(),
                method: head.method.clone(),
                target: head.uri.clone(),
            })
        });
        return Ok(Routed { app: app.clone(), choice, flight });
    }
}

/// Brings the target into origin form; the authority of an absolute form is the host (RFC 9112
/// section 3.2.2).
fn normalise(head: &mut request::Parts) {
    let Some(authority) = head.uri.authority() else {
        // HTTP/1.0 may come without Host; HTTP/1.1 then has an empty one (section 3.2).
        head.headers.entry(header::HOST).or_insert(HeaderValue::from_static(""));
        return;
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        head.headers.insert(header::HOST, host);
    }
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}

async fn forward(client: &Client, routed: Routed, head: request::Parts, body: Incoming) -> Response<ResponseBody> {
    let Routed { app, choice, flight } = routed;
    let clock_ms = client.shared.clock_ms(flight.started);
    let copy = mirror::copy(&app, choice.route, &head, client.worker, clock_ms);
    let watch = Watch::default();
    let body = if body.is_end_stream() {
        if let Some(copy) = copy {
            copy.send(bytes::Bytes::new());
        }
        RequestBody::Empty
    } else {
        RequestBody::stream(body, app.plan.body_bytes_max, watch.clone(), copy)
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.headers_mut() = head.headers;
    app.state.budget.earn();
    let trip = Trip {
        shared: &client.shared,
        worker: client.worker,
        app: &app,
        route: &app.routes[choice.route],
        watch: &watch,
    };
    match trip.exchange(request).await {
        Ok(answered) => passed(client, choice, flight, answered),
        Err(fault) => failed(flight, fault),
    }
}

fn passed(client: &Client, choice: Choice, mut flight: Box<Flight>, answered: Answered) -> Response<ResponseBody> {
    let (mut head, body) = answered.response.into_parts();
    flight.status = head.status.as_u16();
    head.version = http::Version::HTTP_11;
    headers::strip(&mut head.headers);
    head.headers.insert(headers::X_RELEASE, flight.version.header.clone());
    if let Some(cookie) = choice.cookie {
        head.headers.append(header::SET_COOKIE, cookie);
    }
    let Answered { link, endpoint, .. } = answered;
    let body = ResponseBody::linked(body, link, endpoint, client.worker, flight);
    Response::from_parts(head, body)
}

/// The answer to a request that a version did not answer.
pub(crate) fn failed(mut flight: Box<Flight>, fault: Fault) -> Response<ResponseBody> {
    let (mut status, mut reason) = fault.answer();
    let version = flight.version.clone();
    if version.overdue.load(SeqCst) && matches!(fault, Fault::Connect | Fault::Protocol) {
        (status, reason) = (StatusCode::GATEWAY_TIMEOUT, "the version was drained before it answered\n");
    }
    flight.status = status.as_u16();
    flight.upstream = fault.upstream();
    let mut response = text(status, reason, Some(flight));
    response.headers_mut().insert(headers::X_RELEASE, version.header.clone());
    response
}

fn text(status: StatusCode, reason: &'static str, flight: Option<Box<Flight>>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::text(reason, flight));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn closing(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
