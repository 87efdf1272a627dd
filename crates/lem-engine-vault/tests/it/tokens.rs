//! Tokens, policies, leases.

use crate::rig::{Rig, at, text};
use lem_engine_vault::{Method, Request};
use serde_json::{Value, json};

const READER: &str = r#"path "secret/data/shop/*" { capabilities = ["read"] }"#;

#[test]
fn a_policy_bounds_a_token() {
    let rig = Rig::new();
    rig.write("secret/data/shop/db", json!({"data": {"k": "v"}}));
    let token = rig.token(READER);
    for (method, path, expect) in [
        (Method::Read, "secret/data/shop/db", 200),
        (Method::Write, "secret/data/shop/db", 403),
        (Method::Read, "secret/data/other", 403),
        (Method::List, "secret/metadata/shop", 403),
        (Method::Read, "sys/mounts", 403),
        (Method::Read, "auth/token/lookup-self", 200),
    ] {
        assert_eq!(rig.ask(method, path, &token, json!({"data": {}})).status, expect, "{method:?} {path}");
    }
    assert_eq!(rig.ask(Method::Read, "secret/data/shop/db", "nobody", Value::Null).status, 403);
    assert_eq!(rig.vault.handle(&Request::new(Method::Read, "secret/data/shop/db")).status, 403);
    let caps = rig.ask(Method::Write, "sys/capabilities-self", &token, json!({"paths": ["secret/data/shop/db"]}));
    assert_eq!(at(&caps, &["data", "capabilities"]), &json!(["read"]));
}

#[test]
fn create_and_update_are_different_things() {
    let rig = Rig::new();
    let token = rig.token(r#"path "secret/data/*" { capabilities = ["create"] }"#);
    assert_eq!(rig.ask(Method::Write, "secret/data/a", &token, json!({"data": {}})).status, 200);
    assert_eq!(rig.ask(Method::Write, "secret/data/a", &token, json!({"data": {}})).status, 403);
}

#[test]
fn a_child_has_no_more_than_its_parent_and_goes_with_it() {
    let rig = Rig::new();
    rig.write(
        "sys/policies/acl/maker",
        json!({"policy": "path \"auth/token/create\" { capabilities = [\"update\"] }"}),
    );
    rig.write("sys/policies/acl/reader", json!({"policy": READER}));
    let parent =
        text(&rig.write("auth/token/create", json!({"policies": ["maker", "reader"]})), &["auth", "client_token"]);
    let more = rig.ask(Method::Write, "auth/token/create", &parent, json!({"policies": ["root"]}));
    assert_eq!(more.status, 400);
    let stranger = rig.ask(Method::Write, "auth/token/create", &parent, json!({"policies": ["other"]}));
    assert_eq!(stranger.status, 400);
    let child = rig.ask(Method::Write, "auth/token/create", &parent, json!({"policies": ["reader"]}));
    let child = text(&child, &["auth", "client_token"]);
    assert_eq!(rig.ask(Method::Read, "auth/token/lookup-self", &child, Value::Null).status, 200);
    assert_eq!(rig.write("auth/token/revoke", json!({"token": parent})).status, 204);
    assert_eq!(rig.ask(Method::Read, "auth/token/lookup-self", &child, Value::Null).status, 403);
}

#[test]
fn an_orphan_outlives_its_maker() {
    let rig = Rig::new();
    let orphan =
        text(&rig.write("auth/token/create-orphan", json!({"policies": ["default"]})), &["auth", "client_token"]);
    let parent =
        text(&rig.write("auth/token/create", json!({"policies": ["root"], "ttl": "1h"})), &["auth", "client_token"]);
    let child = rig.ask(Method::Write, "auth/token/create", &parent, json!({"policies": ["default"]}));
    let child = text(&child, &["auth", "client_token"]);
    rig.write("auth/token/revoke-orphan", json!({"token": parent}));
    for token in [&orphan, &child] {
        let seen = rig.ask(Method::Read, "auth/token/lookup-self", token, Value::Null);
        assert_eq!((seen.status, at(&seen, &["data", "orphan"])), (200, &json!(true)));
    }
}

#[test]
fn lives_end_and_are_renewed_within_bounds() {
    let rig = Rig::new();
    let body = json!({"policies": ["default"], "ttl": "10m", "explicit_max_ttl": "15m"});
    let token = text(&rig.write("auth/token/create", body), &["auth", "client_token"]);
    rig.later(500);
    let renewed = rig.ask(Method::Write, "auth/token/renew-self", &token, json!({"increment": "1h"}));
    assert_eq!(at(&renewed, &["auth", "lease_duration"]), 400, "no longer than the explicit maximum");
    rig.later(401);
    assert_eq!(rig.ask(Method::Read, "auth/token/lookup-self", &token, Value::Null).status, 403);
    let periodic = text(
        &rig.write("auth/token/create", json!({"period": "1h", "policies": ["default"]})),
        &["auth", "client_token"],
    );
    rig.later(3000);
    let renewed = rig.ask(Method::Write, "auth/token/renew-self", &periodic, json!({}));
    assert_eq!(at(&renewed, &["auth", "lease_duration"]), 3600);
}

#[test]
fn the_last_use_is_served_and_then_the_token_is_gone() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    let token = text(&rig.write("auth/token/create", json!({"num_uses": 2})), &["auth", "client_token"]);
    for expect in [200, 200, 403] {
        assert_eq!(rig.ask(Method::Read, "secret/data/a", &token, Value::Null).status, expect);
    }
}

#[test]
fn a_secret_is_given_out_as_a_lease_and_ends_with_the_job() {
    let rig = Rig::new();
    rig.write("secret/data/shop", json!({"data": {"password": "hunter2", "port": 5432}}));
    let leased = rig.vault.lease("secret/shop", "run:1/build", 600).expect("it is there");
    let values: Vec<_> = leased.values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(values, [("password", "hunter2"), ("port", "5432")]);
    assert!(!format!("{leased:?}").contains("hunter2"));
    assert_eq!(rig.vault.keys("secret/shop").expect("open"), ["password", "port"]);
    assert!(rig.vault.keys("secret/nothing").expect("open").is_empty());
    let seen = rig.write("sys/leases/lookup", json!({"lease_id": leased.lease.id}));
    assert_eq!(at(&seen, &["data", "ttl"]), 600);
    let listed = rig.list("sys/leases/lookup/secret/data/shop");
    assert_eq!(at(&listed, &["data", "keys"]).as_array().map(Vec::len), Some(1));
    let renewed = rig.write("sys/leases/renew", json!({"lease_id": leased.lease.id, "increment": 900}));
    assert_eq!(at(&renewed, &["lease_duration"]), 900);
    assert_eq!(rig.vault.inventory().expect("open")[0].2.len(), 1);
    assert_eq!(rig.vault.revoke("run:1/build").expect("open").len(), 1);
    assert_eq!(rig.write("sys/leases/lookup", json!({"lease_id": leased.lease.id})).status, 400);
    let short = rig.vault.lease("secret/shop", "run:2/build", 60).expect("it is there");
    rig.later(61);
    assert_eq!(rig.vault.tidy().expect("open").first().map(|l| l.id.clone()), Some(short.lease.id));
    assert!(rig.vault.lease("secret/nothing", "run:3/build", 60).is_err());
}

#[test]
fn policies_are_kept_listed_and_checked() {
    let rig = Rig::new();
    assert_eq!(rig.write("sys/policies/acl/bad", json!({"policy": "path {"})).status, 400);
    assert_eq!(rig.write("sys/policy/old", json!({"rules": READER})).status, 204);
    assert_eq!(text(&rig.read("sys/policies/acl/old"), &["data", "policy"]), READER);
    assert_eq!(at(&rig.read("sys/policy"), &["policies"]), &json!(["default", "old", "root"]));
    assert_eq!(rig.write("sys/policies/acl/root", json!({"policy": READER})).status, 400);
    assert_eq!(rig.ask(Method::Delete, "sys/policies/acl/old", &rig.root, Value::Null).status, 204);
    assert_eq!(rig.read("sys/policies/acl/old").status, 404);
}
