//! Upgraded connections, websockets above all. Bytes pass only after the version has answered 101.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Request, Response, StatusCode, header, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::body::{RequestBody, ResponseBody};
use crate::exchange::Fault;
use crate::flight::Flight;
use crate::headers;
use crate::proxy::{Client, Routed, failed};
use crate::upstream::connect;

/// The protocol to change to. An upgrade to h2c is not passed on: it would carry requests past every
/// rule of this router, and RFC 9113 no longer knows it. Nor is one with a body.
pub(crate) fn protocol(head: &request::Parts, body: &Incoming) -> Option<HeaderValue> {
    if head.version != http::Version::HTTP_11 || !body.is_end_stream() {
        return None;
    }
    headers::upgrade(&head.headers).filter(|name| !name.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// Asks the version for the upgrade and, if it agrees, joins both connections.
pub(crate) async fn open(
    client: Arc<Client>,
    routed: Routed,
    head: request::Parts,
    protocol: HeaderValue,
    ours: OnUpgrade,
) -> Response<ResponseBody> {
    let target = head.uri.to_string();
    let mut flight = routed.flight;
    let asked = tokio::time::timeout(
        routed.app.upstream_timeout,
        ask(&client, &routed.app.routes[routed.choice.route], routed.app.connect_timeout, head, protocol),
    );
    let mut response = match asked.await {
        Ok(Ok(response)) => response,
        Ok(Err(fault)) => return failed(flight, fault),
        Err(_) => return failed(flight, Fault::Timeout),
    };
    flight.status = response.status().as_u16();
    let agreed = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = response.headers().get(header::UPGRADE).cloned();
    let theirs = agreed.then(|| hyper::upgrade::on(&mut response));
    let (mut head, body) = response.into_parts();
    headers::strip(&mut head.headers);
    head.headers.insert(headers::X_RELEASE, flight.version.header.clone());
    if let Some(cookie) = routed.choice.cookie {
        head.headers.append(header::SET_COOKIE, cookie);
    }
    let Some(theirs) = theirs else {
        return Response::from_parts(head, ResponseBody::loose(body, flight));
    };
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        head.headers.insert(header::UPGRADE, protocol);
    }
    client.verdict.becomes_tunnel();
    let cut = flight.version.cut.lock().clone();
    client.shared.connections.spawn(join(client.clone(), flight, target, ours, theirs, cut));
    Response::from_parts(head, ResponseBody::text("", None))
}

async fn ask(
    client: &Client,
    route: &crate::table::Route,
    connect_timeout: std::time::Duration,
    head: request::Parts,
    protocol: HeaderValue,
) -> Result<Response<Incoming>, Fault> {
    let clock_ms = client.shared.clock_ms(Instant::now());
    let endpoint = route.endpoint(clock_ms, None).ok_or(Fault::NoHealthyVersion)?;
    let Ok(stream) = connect(endpoint.addr, connect_timeout).await else {
        endpoint.failed(client.shared.clock_ms(Instant::now()));
        return Err(Fault::Connect);
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|_| Fault::Protocol)?;
    // Ends with the exchange, or with the tunnel taking the stream over.
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.headers_mut() = head.headers;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    request.headers_mut().insert(header::UPGRADE, protocol);
    sender.send_request(request).await.map_err(|_| Fault::Protocol)
}

/// Carries bytes both ways until one side ends, the drain's grace is over, or the router stops.
async fn join(
    client: Arc<Client>,
    flight: Box<Flight>,
    target: String,
    ours: OnUpgrade,
    theirs: OnUpgrade,
    cut: CancellationToken,
) {
    let tunnels = &flight.version.tunnels;
    let id = tunnels.add(client.addr, target);
    let carry = async {
        let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) else {
            return;
        };
        let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
        // An end by error is an end: either side may vanish at any time.
        _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await;
    };
    tokio::select! {
        () = carry => {}
        () = cut.cancelled() => {}
        () = client.shared.kill.cancelled() => {}
    }
    tunnels.remove(id);
}
