use std::time::Duration;

use lem_engine_router::{Router, RouterError, Workers};

use crate::support::*;

#[tokio::test]
async fn a_taken_port_is_named() {
    let router = router();
    let mut options = options();
    options.listen = router.addr();
    let refused = Router::start(options).unwrap_err();
    assert!(matches!(refused, RouterError::PortTaken { addr } if addr == router.addr()));
    assert_eq!(refused.to_string(), format!("cannot listen on {}: the port is taken", router.addr()));
}

#[test]
fn a_router_needs_a_runtime() {
    assert!(matches!(Router::start(options()), Err(RouterError::NoRuntime)));
}

#[tokio::test]
async fn both_kinds_of_workers_start_serve_stop_and_free_the_port() {
    let origin = Origin::start("v1").await;
    for workers in [Workers::Caller, Workers::Threads(3.try_into().unwrap())] {
        let mut options = options();
        options.workers = workers;
        let router = Router::start(options.clone()).unwrap();
        router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
        let mut idle = Talk::to(&router).await;
        assert_eq!(idle.get("/").await.status, 200);
        options.listen = router.addr();
        assert_eq!(router.stop(PATIENCE).await, 0);
        assert!(idle.is_closed().await, "idle connections end with the router");
        let again = Router::start(options).unwrap();
        assert_eq!(Talk::to(&again).await.get("/").await.status, 404);
    }
}

#[tokio::test]
async fn a_stop_lets_requests_finish() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.waiting.acquire().await.unwrap().forget();
    let finish = async {
        origin.gate.add_permits(1);
        talk.reply().await
    };
    let (cut, reply) = tokio::join!(router.stop(PATIENCE), finish);
    assert_eq!((cut, reply.body.as_str()), (0, "v1"));
    assert!(talk.is_closed().await);
}

#[tokio::test]
async fn a_stop_cuts_what_outlasts_the_grace() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.waiting.acquire().await.unwrap().forget();
    let mut socket = crate::tunnel::open(&router).await;
    assert_eq!(router.stop(Duration::from_millis(20)).await, 2);
    assert!(talk.is_closed().await && socket.is_closed().await);
}

#[tokio::test]
async fn a_removed_app_is_gone() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    router.remove(APP).unwrap();
    assert_eq!(Talk::to(&router).await.get("/").await.status, 404);
    assert!(router.remove(APP).is_err() && router.counts(APP).is_err() && router.plan(APP).is_none());
}

#[tokio::test]
async fn connections_to_a_version_out_of_the_plan_are_closed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = Origin::start("v2").await;
    let router = router();
    router.apply(APP, plan(&[("v1", listener.local_addr().unwrap(), 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (stream, _) = listener.accept().await.unwrap();
    let mut origin = Talk::over(stream);
    origin.expect("GET / HTTP/1.1").await;
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(talk.reply().await.status, 200);
    router.apply(APP, plan(&[("v2", other.addr, 1)])).unwrap();
    assert!(origin.ends().await, "long before the idle timeout");
}

#[tokio::test]
async fn responses_without_a_body_keep_the_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let router = router();
    router.apply(APP, plan(&[("v1", listener.local_addr().unwrap(), 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (stream, _) = listener.accept().await.unwrap();
    let mut origin = Talk::over(stream);
    for (head, request) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD / HTTP/1.1"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "GET /a HTTP/1.1"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET /b HTTP/1.1"),
    ] {
        if request != "HEAD / HTTP/1.1" {
            talk.send(&format!("{request}\r\nHost: a\r\n\r\n")).await;
        }
        // All over the first connection: a second one would leave this waiting.
        origin.expect(request).await;
        origin.skip_head().await;
        origin.send(head).await;
        talk.expect(head.split("\r\n").next().unwrap()).await;
        talk.skip_head().await;
    }
}
