//! RFC 9112 section 6, one regression test per way to smuggle.

use crate::support::*;

async fn check(request: &str, status: u16) {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send(request).await;
    assert_eq!(talk.reply().await.status, status, "{request:?}");
    assert!(talk.is_closed().await, "the connection stayed open after {request:?}");
    assert!(origin.lines().is_empty(), "the origin saw {request:?}");
}

#[tokio::test]
async fn content_length_with_transfer_encoding_is_refused() {
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400).await;
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400).await;
}

#[tokio::test]
async fn repeated_transfer_encoding_is_refused() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    )
    .await;
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400).await;
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400).await;
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400).await;
}

#[tokio::test]
async fn http_1_0_with_transfer_encoding_is_refused() {
    check("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400).await;
}

#[tokio::test]
async fn differing_content_lengths_are_refused() {
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400).await;
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400).await;
}

#[tokio::test]
async fn connect_is_off() {
    check("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405).await;
}

#[tokio::test]
async fn exactly_one_host_is_demanded() {
    check("GET / HTTP/1.1\r\n\r\n", 400).await;
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400).await;
}

#[tokio::test]
async fn spaces_before_the_colon_are_refused() {
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400).await;
}

#[tokio::test]
async fn a_request_without_length_has_no_body() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    // Not a body that lasts until the connection closes, but a second request.
    talk.send("POST /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(talk.reply().await.body, "");
    assert_eq!(talk.reply().await.body, "v1");
    assert_eq!(origin.lines(), ["POST /echo", "GET /b"]);
}

#[tokio::test]
async fn an_unread_upstream_body_closes_its_connection() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    for _ in 0..20 {
        let mut talk = Talk::to(&router).await;
        talk.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
        talk.expect("HTTP/1.1 200").await;
        drop(talk); // leaves most of a megabyte unread
        assert_eq!(Talk::to(&router).await.get("/").await.body, "v1");
    }
}

#[tokio::test]
async fn bodies_pass_in_both_framings() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")
        .await;
    assert_eq!(talk.reply().await.body, "hello!");
    talk.send("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(talk.reply().await.body, "abc");
    assert_eq!(talk.get("/chunks").await.body, "part 0;part 1;part 2;part 3;part 4;");
    talk.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    talk.expect("HTTP/1.1 200 OK\r\n").await;
    let big = "y".repeat(300_000);
    let mut talk = Talk::to(&router).await;
    talk.send(&format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{big}", big.len())).await;
    assert_eq!(talk.reply().await.body, big);
}

#[tokio::test]
async fn an_old_client_gets_no_chunks_and_needs_no_host() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("GET /chunks HTTP/1.0\r\n\r\n").await;
    let reply = talk.reply().await;
    assert_eq!((reply.status, reply.headers.get("transfer-encoding")), (200, None));
    talk.expect("part 0;part 1;part 2;part 3;part 4;").await;
    assert!(talk.is_closed().await);
    assert_eq!(origin.seen.lock()[0].headers["host"], "");
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it() {
    let origin = Origin::start("v1").await;
    let router = router();
    router.apply(APP, plan(&[("v1", origin.addr, 1)])).unwrap();
    let mut talk = Talk::to(&router).await;
    talk.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    talk.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
    talk.send("body").await;
    assert_eq!(talk.reply().await.body, "body");
}
