use std::time::Duration;

use crate::support::*;

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight_and_sends_new_requests_elsewhere() {
    let (old, new) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    router.apply(APP, plan(&[("v1", old.addr, 1), ("v2", new.addr, 0)])).unwrap();
    let mut slow = Talk::to(&router).await;
    slow.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    old.waiting.acquire().await.unwrap().forget();
    router.apply(APP, plan(&[("v1", old.addr, 1), ("v2", new.addr, 1)])).unwrap();

    let drain = router.drain(APP, "v1", PATIENCE);
    let work = async {
        let mut talk = Talk::to(&router).await;
        // The drain is polled first, so it has begun.
        for _ in 0..20 {
            assert_eq!(talk.get("/").await.body, "v2");
        }
        assert_eq!(counts(&router, "v1").in_flight, 1);
        old.gate.add_permits(1);
        slow.reply().await
    };
    let (drained, reply) = tokio::join!(drain, work);
    let drained = drained.unwrap();
    assert_eq!((drained.finished, drained.abandoned, reply.body.as_str()), (1, 0, "v1"));
    assert_eq!(old.lines(), ["GET /gate"]);

    router.apply(APP, plan(&[("v1", old.addr, 1), ("v2", new.addr, 0)])).unwrap();
    assert_eq!(Talk::to(&router).await.get("/").await.body, "v1", "a plan with weight ends the drain");
}

#[tokio::test]
async fn a_drain_gives_up_after_its_grace_and_says_so() {
    let (old, new) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    router.apply(APP, plan(&[("v1", old.addr, 1), ("v2", new.addr, 0)])).unwrap();
    let mut slow = Talk::to(&router).await;
    slow.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    old.waiting.acquire().await.unwrap().forget();
    let drained = router.drain(APP, "v1", Duration::from_millis(20)).await.unwrap();
    assert_eq!((drained.finished, drained.abandoned), (0, 1));
    let none = Talk::to(&router).await.get("/").await;
    assert_eq!(none.status, 503, "v2 has no weight");
    old.gate.add_permits(1);
    assert_eq!(slow.reply().await.status, 200, "the request itself goes on");
    assert!(router.drain(APP, "v9", PATIENCE).await.is_err());
    assert!(router.drain("none", "v1", PATIENCE).await.is_err());
}

#[tokio::test]
async fn a_request_cut_after_the_deadline_is_a_504() {
    let old = Origin::start("v1").await;
    let router = router();
    // A proxy of our own in front of the origin, so that the test can cut its connections.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    router.apply(APP, plan(&[("v1", listener.local_addr().unwrap(), 1)])).unwrap();
    let mut slow = Talk::to(&router).await;
    slow.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    let (stream, _) = listener.accept().await.unwrap();
    stream.readable().await.unwrap();
    router.drain(APP, "v1", Duration::from_millis(10)).await.unwrap();
    drop(stream);
    assert_eq!(slow.reply().await.status, 504);
    drop(old);
}

#[tokio::test]
async fn a_websocket_gets_the_grace_is_listed_and_closed() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut socket = crate::tunnel::open(&router).await;
    let drained = router.drain(APP, "v1", Duration::from_millis(20)).await.unwrap();
    assert_eq!((drained.abandoned, drained.tunnels.len()), (1, 1));
    assert_eq!(drained.tunnels[0].target, "/ws");
    assert!(socket.is_closed().await);
    until("tunnel gone", || counts(&router, "v1").in_flight == 0).await;
}

#[tokio::test]
async fn a_plan_with_weight_ends_a_drain_under_way() {
    let old = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", old.addr, 1)])).unwrap();
    let mut slow = Talk::to(&router).await;
    slow.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    old.waiting.acquire().await.unwrap().forget();
    let again = async { router.apply(APP, plan(&[("v1", old.addr, 1)])).unwrap() };
    let (drained, _) = tokio::join!(router.drain(APP, "v1", PATIENCE), again);
    let message = drained.unwrap_err().to_string();
    assert_eq!(message, "a plan gave version v1 of app shop traffic again while it was draining");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_reaches_a_version_reported_as_drained() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    let (old, new) = (Origin::start("v1").await, Origin::start("v2").await);
    let mut options = options();
    options.workers = lem_engine_router::Workers::Threads(2.try_into().unwrap());
    let router = Arc::new(lem_engine_router::Router::start(options).unwrap());
    let both = plan(&[("v1", old.addr, 1), ("v2", new.addr, 1)]);
    router.apply(APP, both.clone()).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let (router, done) = (router.clone(), done.clone());
            tokio::spawn(async move {
                let mut talk = Talk::to(&router).await;
                while !done.load(SeqCst) {
                    assert_eq!(talk.get("/").await.status, 200);
                }
            })
        })
        .collect();
    for _ in 0..50 {
        let drained = router.drain(APP, "v1", PATIENCE).await.unwrap();
        assert_eq!(drained.abandoned, 0);
        let (at_drain, meanwhile) = (old.seen.lock().len(), new.seen.lock().len());
        until("requests elsewhere", || new.seen.lock().len() > meanwhile + 20).await;
        assert_eq!(old.seen.lock().len(), at_drain);
        router.apply(APP, both.clone()).unwrap();
        until("requests again", || old.seen.lock().len() > at_drain).await;
    }
    done.store(true, SeqCst);
    for client in clients {
        client.await.unwrap();
    }
}
