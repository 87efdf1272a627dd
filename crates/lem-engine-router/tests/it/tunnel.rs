use lem_engine_router::RouterHandle;

use crate::support::*;

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";

pub(crate) async fn open(router: &RouterHandle) -> Talk {
    let mut talk = Talk::to(router).await;
    talk.send(UPGRADE).await;
    let reply = talk.reply().await;
    assert_eq!((reply.status, reply.release()), (101, "v1"));
    assert_eq!((reply.headers["upgrade"].as_str(), reply.headers["connection"].as_str()), ("websocket", "upgrade"));
    talk.send("hello").await;
    talk.expect("hello").await;
    talk
}

#[tokio::test]
async fn a_websocket_passes_and_survives_a_weight_change() {
    let (origin, other) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = open(&router).await;
    assert_eq!(origin.seen.lock()[0].headers["sec-websocket-key"], "k");
    assert_eq!(router.tunnels(APP).unwrap()[0].1.len(), 1);
    router.apply(APP, plan(&[("v1", origin.addr, 0), ("v2", other.addr, 1)])).unwrap();
    // Bytes that look like an ambiguous request are the tunnel's own business.
    let bytes = "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    talk.send(bytes).await;
    talk.expect(bytes).await;
    assert_eq!(counts(&router, "v1").in_flight, 1);
    drop(talk);
    until("tunnel counted", || counts(&router, "v1").by_class[0] == 1).await;
    assert!(router.tunnels(APP).unwrap()[0].1.is_empty());
}

#[tokio::test]
async fn there_is_no_tunnel_before_101() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    // The origin answers 200: what follows is an ordinary request, not a tunnel's bytes.
    let refused = UPGRADE.replace("/ws", "/plain");
    talk.send(&format!("{refused}GET /after HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(talk.reply().await.status, 200);
    assert_eq!(talk.reply().await.status, 200);
    assert_eq!(origin.lines(), ["GET /plain", "GET /after"]);
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_an_ordinary_request() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let reply = Talk::to(&router)
        .await
        .get_with("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n")
        .await;
    assert_eq!(reply.status, 200);
    let seen = origin.seen.lock()[0].headers.clone();
    assert!(["upgrade", "connection", "http2-settings"].iter().all(|name| !seen.contains_key(*name)), "{seen:?}");
}

#[tokio::test]
async fn an_unasked_101_is_a_protocol_failure() {
    let addr =
        raw_origin(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let router = router();
    router.apply(APP, plan(&[("v1", addr, 1)])).unwrap();
    assert_eq!(Talk::to(&router).await.get("/").await.status, 502);
}
