//! Logging in.

use crate::rig::{Rig, at, text};
use lem_engine_vault::{Method, Request};
use serde_json::{Value, json};

#[test]
fn approle_from_enabling_to_reading() {
    let rig = Rig::new();
    rig.write("secret/data/shop", json!({"data": {"k": "v"}}));
    rig.write("sys/policies/acl/shop", json!({"policy": "path \"secret/data/shop\" { capabilities = [\"read\"] }"}));
    assert_eq!(rig.write("sys/auth/approle", json!({"type": "approle"})).status, 204);
    let role = json!({"token_policies": "shop", "secret_id_num_uses": 2, "secret_id_ttl": "10m", "token_ttl": "5m"});
    assert_eq!(rig.write("auth/approle/role/shop", role).status, 204);
    let role_id = text(&rig.read("auth/approle/role/shop/role-id"), &["data", "role_id"]);
    let secret_id = text(&rig.write("auth/approle/role/shop/secret-id", json!({})), &["data", "secret_id"]);
    let login = |secret: &str| {
        let body = json!({"role_id": role_id, "secret_id": secret});
        rig.vault.handle(&Request::new(Method::Write, "auth/approle/login").body(body))
    };
    let first = login(&secret_id);
    assert_eq!(at(&first, &["auth", "policies"]), &json!(["default", "shop"]));
    assert_eq!(at(&first, &["auth", "lease_duration"]), 300);
    let token = text(&first, &["auth", "client_token"]);
    assert_eq!(rig.ask(Method::Read, "secret/data/shop", &token, Value::Null).status, 200);
    assert_eq!(login(&secret_id).status, 200);
    assert_eq!(login(&secret_id).status, 400, "two uses were given");
    let wrong = login("wrong");
    assert_eq!(at(&wrong, &["errors"]), &json!(["invalid role or secret ID"]));
    let late = text(&rig.write("auth/approle/role/shop/secret-id", json!({})), &["data", "secret_id"]);
    rig.later(601);
    assert_eq!(login(&late).status, 400);
    assert_eq!(at(&rig.list("auth/approle/role"), &["data", "keys"]), &json!(["shop"]));
}

#[test]
fn userpass() {
    let rig = Rig::new();
    rig.write("sys/auth/people", json!({"type": "userpass"}));
    rig.write("auth/people/users/ann", json!({"password": "correct horse", "token_policies": ["default"]}));
    let login = |name: &str, password: &str| {
        let request = Request::new(Method::Write, format!("auth/people/login/{name}"));
        rig.vault.handle(&request.body(json!({"password": password})))
    };
    assert_eq!(at(&login("ann", "correct horse"), &["auth", "metadata", "username"]), "ann");
    for (name, password) in [("ann", "wrong"), ("bob", "correct horse")] {
        assert_eq!(at(&login(name, password), &["errors"]), &json!(["invalid username or password"]));
    }
    assert_eq!(rig.ask(Method::Delete, "sys/auth/people", &rig.root, Value::Null).status, 204);
    assert_eq!(login("ann", "correct horse").status, 403);
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    let rig = Rig::new();
    for (path, body, expect) in [
        ("sys/auth/oidc", json!({"type": "oidc"}), "\"oidc\" is not part of this store"),
        ("auth/token/create", json!({"type": "batch"}), "batch tokens are not supported"),
    ] {
        let answer = rig.write(path, body);
        assert_eq!(answer.status, 400);
        assert!(at(&answer, &["errors"])[0].as_str().is_some_and(|e| e.contains(expect)), "{answer:?}");
    }
    rig.write("sys/auth/approle", json!({"type": "approle"}));
    assert_eq!(rig.write("auth/approle/role/a", json!({"secret_id_bound_cidrs": "10.0.0.0/8"})).status, 400);
    assert_eq!(rig.write("auth/approle/role/a", json!({"token_policies": "root"})).status, 400);
    let mut elsewhere = Request::new(Method::Read, "sys/mounts").token(&rig.root);
    elsewhere.namespace = Some("team/".into());
    assert_eq!(rig.vault.handle(&elsewhere).status, 400);
}
