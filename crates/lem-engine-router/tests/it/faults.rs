use std::time::Duration;

use tokio::io::AsyncReadExt;

use lem_engine_router::{Condition, MatchRule, Pattern, RoutePlan, VersionRoute, limits};

use crate::support::*;

#[tokio::test]
async fn each_failure_has_its_status() {
    let origin = Origin::start("v1").await;
    let router = router();
    let mut talk = Talk::to(&router).await;
    assert_eq!(talk.get("/").await.status, 404, "no app");
    for (what, addr, path, status) in [
        ("upstream says 500", origin.addr, "/500", 500),
        ("nobody listens", dead().await, "/", 502),
        ("upstream closes", raw_origin(b"").await, "/", 502),
        ("upstream talks no HTTP", raw_origin(b"SSH-2.0-x\r\n").await, "/", 502),
        ("upstream is silent", origin.addr, "/gate", 504),
    ] {
        let mut plan = plan(&[("v1", addr, 1)]);
        plan.upstream_timeout_ms = 100;
        router.apply(APP, plan).unwrap();
        let before = counts(&router, "v1");
        let reply = talk.get(path).await;
        assert_eq!((reply.status, reply.release()), (status, "v1"), "{what}");
        until("counted", || counts(&router, "v1").requests == before.requests + 1).await;
        let after = counts(&router, "v1");
        assert_eq!(after.bad, before.bad + 1, "{what} is bad");
        assert_eq!(after.failed - before.failed, u64::from(status != 500), "{what}");
        assert_eq!(after.in_flight, 0);
    }
}

#[tokio::test]
async fn a_cut_body_is_bad_and_the_client_sees_it() {
    let addr = raw_origin(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let router = router();
    router.apply(APP, plan(&[("v1", addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(talk.try_reply().await.is_none(), "the response must not look whole");
    until("counted", || counts(&router, "v1").failed == 1).await;
    assert_eq!(counts(&router, "v1").codes, [(200, 1)]);
}

#[tokio::test]
async fn a_client_that_leaves_is_a_499_and_not_bad() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.waiting.acquire().await.unwrap().forget();
    drop(talk);
    until("counted", || counts(&router, "v1").codes == [(499, 1)]).await;
    assert_eq!(counts(&router, "v1").bad, 0);
}

#[tokio::test]
async fn another_endpoint_is_tried_and_the_dead_one_ejected() {
    let origin = Origin::start("v1").await;
    let router = router();
    let version = VersionRoute::new("v1", vec![dead().await, origin.addr], 1);
    router.apply(APP, RoutePlan::new("r", vec![version])).unwrap();
    let mut talk = Talk::to(&router).await;
    for _ in 0..100 {
        assert_eq!(talk.get("/").await.status, 200);
    }
    let retried = counts(&router, "v1").retried;
    let few = u64::from(limits::FAILURES_TO_EJECT);
    // A slow machine may see the first ejection end.
    assert!(retried >= few && retried < 3 * few, "{retried} retries, then the dead endpoint is left alone");
}

#[tokio::test]
async fn retries_have_a_budget() {
    let router = router();
    let closing = raw_origin(b"").await;
    let endpoints = vec![closing, raw_origin(b"").await, raw_origin(b"").await, raw_origin(b"").await];
    router.apply(APP, RoutePlan::new("r", vec![VersionRoute::new("v1", endpoints, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    for _ in 0..40 {
        assert!(talk.get("/").await.status >= 502);
    }
    let allowed = u64::from(limits::RETRIES_AT_START) + 40 / u64::from(limits::REQUESTS_PER_RETRY);
    assert!(counts(&router, "v1").retried <= allowed, "{}", counts(&router, "v1").retried);
}

#[tokio::test]
async fn a_write_is_sent_once() {
    let (addr, seen) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = seen.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                assert!(stream.read(&mut head).await.unwrap() > 0);
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        (addr, seen)
    };
    let router = router();
    router.apply(APP, plan(&[("v1", addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    for (method, times) in [("POST", 1), ("PUT", 1 + limits::ATTEMPTS_MAX)] {
        talk.send(&format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(talk.reply().await.status, 502);
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), times, "{method}");
    }
}

#[tokio::test]
async fn a_closed_pooled_connection_is_replaced_unnoticed() {
    // Answers one request per connection while promising to keep it open.
    let addr = raw_origin(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let router = router();
    router.apply(APP, plan(&[("v1", addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    for _ in 0..200 {
        assert_eq!(talk.get("/").await.body, "ok");
    }
    assert_eq!(counts(&router, "v1").bad, 0);
}

#[tokio::test]
async fn without_a_healthy_version_the_answer_is_503() {
    let router = router();
    router.apply(APP, plan(&[("v1", dead().await, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    let statuses: Vec<u16> =
        futures::future::join_all((0..5).map(|_| async { Talk::to(&router).await.get("/").await.status })).await;
    assert_eq!(statuses, [502; 5]);
    assert_eq!(talk.get("/").await.status, 503);
    assert!(router.exposition().contains("lem_router_no_healthy_version_total{app=\"shop\"} 1"));
}

#[tokio::test]
async fn shares_of_a_dead_version_go_elsewhere_and_its_rules_do_not() {
    let origin = Origin::start("v1").await;
    let router = router();
    let mut plan = plan(&[("v1", origin.addr, 50), ("v2", dead().await, 50)]);
    let when = vec![Condition::Header { name: "x-canary".to_owned(), value: Pattern::Present }];
    plan.rules = vec![MatchRule { version: "v2".to_owned(), when }];
    router.apply(APP, plan).unwrap();
    let mut talk = Talk::to(&router).await;
    for _ in 0..limits::FAILURES_TO_EJECT {
        assert_eq!(talk.get_with("/", "X-Canary: 1\r\n").await.status, 502);
    }
    assert_eq!(talk.get_with("/", "X-Canary: 1\r\n").await.status, 503);
    for _ in 0..10 {
        assert_eq!(talk.get("/").await.status, 200);
    }
    assert_eq!(counts(&router, "v2").diverted, 5);
}

#[tokio::test]
async fn a_client_too_slow_with_its_body_is_a_408() {
    let origin = Origin::start("v1").await;
    let router = router();
    let mut plan = plan(&[("v1", origin.addr, 1)]);
    plan.upstream_timeout_ms = Duration::from_millis(50).as_millis() as u64;
    router.apply(APP, plan).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").await;
    assert_eq!(talk.reply().await.status, 408);
    until("counted", || counts(&router, "v1").codes == [(408, 1)]).await;
    assert_eq!(counts(&router, "v1").bad, 0);
}
