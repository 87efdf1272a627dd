use std::time::Duration;

use lem_engine_router::{Router, limits};

use crate::support::*;

#[tokio::test]
async fn a_large_body_is_refused_before_and_while_it_arrives() {
    let origin = Origin::start("v1").await;
    let router = router();
    let mut plan = plan(&[("v1", origin.addr, 1)]);
    plan.body_bytes_max = 10;
    router.apply(APP, plan).unwrap();
    for (request, status) in [
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", 200),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n0123456789a", 413),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", 413),
    ] {
        let mut talk = Talk::to(&router).await;
        talk.send(request).await;
        assert_eq!(talk.reply().await.status, status, "{request:?}");
    }
    until("counted", || counts(&router, "v1").requests == 3).await;
    assert_eq!(counts(&router, "v1").bad, 0, "a client's fault");
    assert_eq!(Talk::to(&router).await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let long = format!("X-Long: {}\r\n", "x".repeat(limits::HEAD_BYTES_MAX));
    assert_eq!(Talk::to(&router).await.get_with("/", &long).await.status, 431);
    let many = "X-Many: 1\r\n".repeat(limits::HEADER_LINES_MAX + 1);
    assert_eq!(Talk::to(&router).await.get_with("/", &many).await.status, 431);
    let fits = "X-Many: 1\r\n".repeat(limits::HEADER_LINES_MAX - 10);
    assert_eq!(Talk::to(&router).await.get_with("/", &fits).await.status, 200);
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let origin = Origin::start("v1").await;
    let mut options = options();
    options.connections_max = 2;
    let router = Router::start(options).unwrap();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let (mut first, mut second) = (Talk::to(&router).await, Talk::to(&router).await);
    assert_eq!((first.get("/").await.status, second.get("/").await.status), (200, 200));
    let mut third = Talk::to(&router).await;
    assert_eq!(third.get("/").await.status, 503);
    assert!(third.is_closed().await);
    drop(first);
    until("a place is free", || router.exposition().contains("lem_router_connections 1")).await;
    assert_eq!(Talk::to(&router).await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_closed() {
    let mut options = options();
    options.head_timeout = Duration::from_millis(50);
    let router = Router::start(options).unwrap();
    let mut slow = Talk::to(&router).await;
    slow.send("GET / HTTP/1.1\r\n").await;
    _ = slow.try_reply().await; // a 408 or nothing
    assert!(slow.is_closed().await);
    assert!(Talk::to(&router).await.is_closed().await);
}
