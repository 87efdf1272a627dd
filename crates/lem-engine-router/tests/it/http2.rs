//! HTTP/2 with prior knowledge from clients; versions are spoken to in HTTP/1.1.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lem_engine_router::{RouterHandle, limits};
use tokio::net::TcpStream;

use crate::support::*;

async fn client(router: &RouterHandle) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(router.addr()).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, method: &str, path: &str, body: &'static str) -> (u16, Bytes) {
    let request = Request::builder().method(method).uri(format!("http://shop.test{path}"));
    let response = sender.send_request(request.body(Full::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn requests_pass_side_by_side_and_through_weight_changes() {
    let (one, two) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    router.apply(APP, plan(&[("v1", one.addr, 1)])).unwrap();
    let mut sender = client(&router).await;
    assert_eq!(ask(&mut sender, "POST", "/echo", "hello").await, (200, "hello".into()));
    assert_eq!(ask(&mut sender, "GET", "/big", "").await.1.len(), 64 * 16 * 1024);
    assert_eq!(one.seen.lock()[0].headers["host"], "shop.test");
    let mut waiting = sender.clone();
    let slow = tokio::spawn(async move { ask(&mut waiting, "GET", "/gate", "").await });
    one.waiting.acquire().await.unwrap().forget();
    router.apply(APP, plan(&[("v1", one.addr, 0), ("v2", two.addr, 1)])).unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&mut sender, "GET", "/", "").await, (200, "v2".into()));
    }
    assert_eq!(counts(&router, "v1").in_flight, 1);
    one.gate.add_permits(1);
    assert_eq!(slow.await.unwrap(), (200, "v1".into()));
}

#[tokio::test]
async fn a_stop_lets_streams_finish() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut sender = client(&router).await;
    let slow = tokio::spawn(async move { ask(&mut sender, "GET", "/gate", "").await });
    origin.waiting.acquire().await.unwrap().forget();
    let (cut, answer) = tokio::join!(router.stop(PATIENCE), async {
        origin.gate.add_permits(1);
        slow.await.unwrap()
    });
    assert_eq!((cut, answer), (0, (200, "v1".into())));
}

#[tokio::test]
async fn streams_beyond_the_limit_wait() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let sender = client(&router).await;
    ask(&mut sender.clone(), "GET", "/", "").await; // the server's settings have arrived
    let all: Vec<_> = (0..limits::STREAMS_MAX + 5)
        .map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move { ask(&mut sender, "GET", "/gate", "").await.0 })
        })
        .collect();
    origin.waiting.acquire_many(limits::STREAMS_MAX).await.unwrap().forget();
    assert_eq!(counts(&router, "v1").in_flight, u64::from(limits::STREAMS_MAX));
    origin.gate.add_permits(all.len());
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
}
