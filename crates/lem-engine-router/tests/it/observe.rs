use lem_engine_router::{Forwarded, Router};

use crate::support::*;

#[tokio::test]
async fn counts_and_exposition_are_exact() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    for path in ["/", "/", "/500"] {
        talk.get(path).await;
    }
    talk.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.waiting.acquire().await.unwrap().forget();
    let counts = counts(&router, "v1");
    assert_eq!((counts.requests, counts.bad, counts.failed, counts.in_flight), (3, 1, 0, 1));
    assert_eq!((counts.by_class, counts.codes), ([0, 2, 0, 0, 1], vec![(200, 2), (500, 1)]));
    assert_eq!(counts.duration_buckets.iter().sum::<u64>(), 3);
    let text = router.exposition();
    for line in [
        "# TYPE lem_router_requests_total counter",
        "lem_router_requests_total{app=\"shop\",version=\"v1\",code=\"200\"} 2",
        "lem_router_requests_total{app=\"shop\",version=\"v1\",code=\"500\"} 1",
        "lem_router_bad_total{app=\"shop\",version=\"v1\"} 1",
        "lem_router_request_duration_seconds_bucket{app=\"shop\",version=\"v1\",le=\"+Inf\"} 3",
        "lem_router_request_duration_seconds_count{app=\"shop\",version=\"v1\"} 3",
        "lem_router_in_flight{app=\"shop\",version=\"v1\"} 1",
        "lem_router_connections 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
    assert!(text.contains("le=\"0.0005\""), "{text}");
}

#[tokio::test]
async fn headers_are_forwarded_stripped_and_added() {
    let origin = Origin::start("v1").await;
    for (forwarded, chain) in [(Forwarded::Replace, "127.0.0.1"), (Forwarded::Extend, "9.9.9.9, 127.0.0.1")] {
        let mut options = options();
        options.forwarded = forwarded;
        let router = Router::start(options).unwrap();
        router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
        let reply = Talk::to(&router)
            .await
            .get_with("/", "X-Forwarded-For: 9.9.9.9\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Keep: 1\r\n")
            .await;
        let seen = origin.seen.lock().last().unwrap().headers.clone();
        let header = |name: &str| seen.get(name).map(|v| v.to_str().unwrap());
        assert_eq!(header("x-forwarded-for"), Some(chain));
        assert_eq!(header("x-forwarded-proto"), Some("http"));
        assert_eq!((header("x-forwarded-host"), header("host")), (Some("shop.test"), Some("shop.test")));
        assert_eq!(
            (header("x-hop"), header("te"), header("connection"), header("x-keep")),
            (None, None, None, Some("1"))
        );
        assert_eq!((reply.release(), reply.headers["x-origin"].as_str()), ("v1", "v1"));
        assert!(!reply.headers.contains_key("keep-alive"));
    }
}

#[tokio::test]
async fn the_access_log_names_the_version_and_counts_what_it_drops() {
    let origin = Origin::start("v1").await;
    let (sink, mut records) = tokio::sync::mpsc::channel(1);
    let mut options = options();
    options.access_log = Some(sink);
    let router = Router::start(options).unwrap();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.get("/500?a=b").await;
    talk.get("/").await;
    until("second counted", || router.exposition().contains("lem_router_access_log_dropped_total 1")).await;
    let record = records.recv().await.unwrap();
    assert_eq!((&*record.app, &*record.version, record.status), (APP, "v1", 500));
    assert_eq!((record.method.as_str(), record.target.to_string().as_str()), ("GET", "/500?a=b"));
}
