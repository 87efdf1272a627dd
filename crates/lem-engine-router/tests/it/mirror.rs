use lem_engine_router::{Mirror, MirrorMethods, RouterHandle};

use crate::support::*;

fn mirrored(router: &RouterHandle, result: &str) -> u64 {
    let text = router.exposition();
    let start = format!("lem_router_mirrored_total{{app=\"{APP}\",result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

async fn start(methods: MirrorMethods, in_flight_max: u32) -> (RouterHandle, Origin, Origin) {
    let (real, shadow) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    let mut plan = plan(&[("v1", real.addr, 1), ("v2", shadow.addr, 0)]);
    plan.mirror = Some(Mirror { methods, in_flight_max, ..Mirror::to("v2") });
    router.apply(APP, plan).unwrap();
    (router, real, shadow)
}

const POST: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";

#[tokio::test]
async fn safe_requests_are_mirrored_and_writes_are_not() {
    let (router, real, shadow) = start(MirrorMethods::Safe, 8).await;
    let mut talk = Talk::to(&router).await;
    assert_eq!(talk.get("/big").await.body.len(), 64 * 16 * 1024);
    talk.send(POST).await;
    assert_eq!(talk.reply().await.body, "body");
    until("mirrored", || mirrored(&router, "answered") == 1).await;
    assert_eq!(shadow.lines(), ["GET /big"]);
    assert_eq!(shadow.seen.lock()[0].headers["x-lem-mirror"], "v1");
    assert_eq!(real.lines(), ["GET /big", "POST /echo"]);
    assert_eq!(counts(&router, "v2").requests, 0, "copies are not traffic");
}

#[tokio::test]
async fn writes_are_mirrored_with_their_body_when_asked() {
    let (router, _real, shadow) = start(MirrorMethods::All, 8).await;
    let mut talk = Talk::to(&router).await;
    talk.send(POST).await;
    assert_eq!(talk.reply().await.body, "body");
    until("mirrored", || mirrored(&router, "answered") == 1).await;
    assert_eq!(shadow.seen.lock()[0].body, "body");
}

#[tokio::test]
async fn a_slow_mirror_delays_nobody_and_is_capped() {
    let (router, real, shadow) = start(MirrorMethods::Safe, 2).await;
    real.gate.add_permits(5);
    let mut talk = Talk::to(&router).await;
    for _ in 0..5 {
        assert_eq!(talk.get("/gate").await.body, "v1");
    }
    assert_eq!(mirrored(&router, "dropped"), 3);
    shadow.gate.add_permits(2);
    until("mirrored", || mirrored(&router, "answered") == 2).await;
}

#[tokio::test]
async fn a_dead_mirror_is_counted_and_not_felt() {
    let real = Origin::start("v1").await;
    let router = router();
    let mut plan = plan(&[("v1", real.addr, 1), ("v2", dead().await, 0)]);
    plan.mirror = Some(Mirror::to("v2"));
    router.apply(APP, plan).unwrap();
    assert_eq!(Talk::to(&router).await.get("/").await.status, 200);
    until("mirror failed", || mirrored(&router, "failed") == 1).await;
}

#[tokio::test]
async fn a_body_too_large_to_copy_is_not_mirrored() {
    let (router, _real, shadow) = start(MirrorMethods::All, 8).await;
    let body = "x".repeat(lem_engine_router::limits::MIRROR_BODY_BYTES_MAX + 1);
    let mut talk = Talk::to(&router).await;
    talk.send(&format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    assert_eq!(talk.reply().await.status, 200);
    assert_eq!((mirrored(&router, "dropped"), shadow.lines().len()), (1, 0));
}
