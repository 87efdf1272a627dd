use lem_engine_router::{Condition, MatchRule, Pattern, Sticky};

use crate::support::*;

#[tokio::test]
async fn a_thousand_requests_split_within_a_point() {
    let (stable, canary) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    for (a, b) in [(95, 5), (50, 50), (1, 2), (0, 1)] {
        router.apply(APP, plan(&[("v1", stable.addr, a), ("v2", canary.addr, b)])).unwrap();
        let before = counts(&router, "v2").requests;
        let mut talk = Talk::to(&router).await;
        for _ in 0..1000 {
            talk.get("/").await;
        }
        until("all counted", || counts(&router, "v1").requests + counts(&router, "v2").requests >= before + 1000).await;
        let share = (counts(&router, "v2").requests - before) as f64 / 10.0;
        let wanted = f64::from(b) * 100.0 / f64::from(a + b);
        assert!((share - wanted).abs() <= 1.0, "{a}:{b} gave {share} %");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_weight_changes_lose_and_double_nothing() {
    const CLIENTS: usize = 8;
    let (stable, canary) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = std::sync::Arc::new(router());
    let weighted = |n| plan(&[("v1", stable.addr, 100 - n), ("v2", canary.addr, n)]);
    router.apply(APP, weighted(0)).unwrap();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (router, done) = (router.clone(), done.clone());
            tokio::spawn(async move {
                let mut talk = Talk::to(&router).await;
                let mut sent = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let reply = talk.get(&format!("/r/{client}/{sent}")).await;
                    assert_eq!((reply.status, reply.body.as_str()), (200, reply.release()));
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    for change in 1..=100 {
        let seen = stable.seen.lock().len() + canary.seen.lock().len();
        router.apply(APP, weighted(change)).unwrap();
        until("requests between changes", || stable.seen.lock().len() + canary.seen.lock().len() > seen).await;
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut sent = 0;
    for client in clients {
        sent += client.await.unwrap();
    }
    let mut seen = [stable.lines(), canary.lines()].concat();
    assert_eq!(seen.len(), sent, "every request arrived once");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), sent, "no request arrived twice");
    until("all counted", || counts(&router, "v1").requests + counts(&router, "v2").requests == sent as u64).await;
    assert_eq!(router.plan(APP).unwrap().0.0, 101);
}

#[tokio::test]
async fn a_sticky_user_never_flips_back_while_the_weight_rises() {
    let (stable, canary) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    let mut on_canary = [false; 60];
    for weight in [0, 1, 5, 10, 25, 50, 100] {
        let mut plan = plan(&[("v1", stable.addr, 100 - weight), ("v2", canary.addr, weight)]);
        plan.sticky = Some(Sticky { header: Some("x-user".to_owned()), ..Sticky::cookie("lem") });
        router.apply(APP, plan).unwrap();
        let mut talk = Talk::to(&router).await;
        for (user, was) in on_canary.iter_mut().enumerate() {
            let reply = talk.get_with("/", &format!("X-User: user-{user}\r\n")).await;
            let is = reply.release() == "v2";
            assert!(is || !*was, "user {user} flipped back at {weight} %");
            assert!(!reply.headers.contains_key("set-cookie"), "a user with a key needs no cookie");
            *was = is;
        }
    }
    assert!(on_canary.iter().all(|on| *on));
}

#[tokio::test]
async fn a_user_without_a_key_gets_a_cookie_that_sticks() {
    let (stable, canary) = (Origin::start("v1").await, Origin::start("v2").await);
    let router = router();
    let mut plan = plan(&[("v1", stable.addr, 50), ("v2", canary.addr, 50)]);
    plan.sticky = Some(Sticky::cookie("lem"));
    router.apply(APP, plan).unwrap();
    let mut talk = Talk::to(&router).await;
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let first = talk.get("/").await;
        let cookie = first.headers["set-cookie"].split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("lem="), "{cookie}");
        for _ in 0..3 {
            let next = talk.get_with("/", &format!("Cookie: a=b; {cookie}\r\n")).await;
            assert_eq!(next.release(), first.release());
        }
        met.insert(first.release().to_owned());
    }
    assert_eq!(met.len(), 2, "both versions get new users");
}

#[tokio::test]
async fn headers_beat_cookies_and_cookies_beat_weights() {
    let origin = Origin::start("any").await;
    let router = router();
    let mut plan = plan(&[("stable", origin.addr, 100), ("cookie", origin.addr, 0), ("header", origin.addr, 0)]);
    let rule = |version: &str, condition| MatchRule { version: version.to_owned(), when: vec![condition] };
    let exact = |text: &str| Pattern::Exact(text.to_owned());
    plan.rules = vec![
        rule("cookie", Condition::Cookie { name: "beta".to_owned(), value: exact("1") }),
        rule("header", Condition::Header { name: "x-canary".to_owned(), value: Pattern::Prefix("y".to_owned()) }),
    ];
    plan.sticky = Some(Sticky { header: Some("x-user".to_owned()), ..Sticky::cookie("lem") });
    router.apply(APP, plan).unwrap();
    let mut talk = Talk::to(&router).await;
    for (headers, expect) in [
        ("", "stable"),
        ("Cookie: beta=0\r\n", "stable"),
        ("Cookie: a=b; beta=1\r\n", "cookie"),
        ("X-Canary: yes\r\n", "header"),
        ("X-Canary: no\r\n", "stable"),
        ("Cookie: beta=1\r\nX-Canary: yes\r\n", "header"),
        ("X-User: u\r\nCookie: beta=1\r\n", "cookie"),
    ] {
        assert_eq!(talk.get_with("/", headers).await.release(), expect, "{headers:?}");
    }
}

#[tokio::test]
async fn apps_are_told_apart_by_host_and_path() {
    let router = router();
    for (app, host, path) in
        [("all", "", "/"), ("api", "", "/api"), ("shop", "shop.test", "/"), ("cart", "shop.test", "/cart")]
    {
        let origin = Origin::start("any").await;
        let mut plan = plan(&[(app, origin.addr, 1)]);
        plan.hosts = [host].iter().filter(|h| !h.is_empty()).map(|h| (*h).to_owned()).collect();
        plan.path_prefix = path.to_owned();
        router.apply(app, plan).unwrap();
    }
    let mut talk = Talk::to(&router).await;
    for (host, target, expect) in [
        ("x.test", "/", "all"),
        ("x.test:8080", "/api/v1", "api"),
        ("x.test", "/apiary", "all"),
        ("SHOP.test:80", "/", "shop"),
        ("shop.test", "/cart/1", "cart"),
        ("x.test", "http://shop.test/cart", "cart"),
    ] {
        talk.send(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(talk.reply().await.release(), expect, "{host} {target}");
    }
}
