//! Response wrapping and cubbyholes.

use crate::rig::{Rig, at, text};
use lem_engine_vault::{Method, Request};
use serde_json::{Value, json};

#[test]
fn a_wrapped_answer_comes_out_once() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    let mut request = Request::new(Method::Read, "secret/data/a").token(&rig.root);
    request.wrap_ttl = Some(120);
    let wrapped = rig.vault.handle(&request);
    assert_eq!(at(&wrapped, &["data"]), &Value::Null, "the secret is not in it");
    let token = text(&wrapped, &["wrap_info", "token"]);
    let look = rig.vault.handle(&Request::new(Method::Write, "sys/wrapping/lookup").body(json!({"token": token})));
    assert_eq!(at(&look, &["data", "creation_path"]), "secret/data/a");
    assert_eq!(rig.ask(Method::Read, "secret/data/a", &token, Value::Null).status, 403, "it is good for nothing else");
    let unwrap = || rig.vault.handle(&Request::new(Method::Write, "sys/wrapping/unwrap").token(&token));
    assert_eq!(at(&unwrap(), &["data", "data", "k"]), "v");
    let again = unwrap();
    assert_eq!(
        (again.status, at(&again, &["errors"])),
        (400, &json!(["wrapping token is not valid or does not exist"]))
    );
}

#[test]
fn a_wrapping_token_ends_and_can_be_exchanged() {
    let rig = Rig::new();
    let mut request = Request::new(Method::Write, "sys/wrapping/wrap").token(&rig.root).body(json!({"k": "v"}));
    request.wrap_ttl = Some(60);
    let token = text(&rig.vault.handle(&request), &["wrap_info", "token"]);
    let renewed = rig.vault.handle(&Request::new(Method::Write, "sys/wrapping/rewrap").body(json!({"token": token})));
    let fresh = text(&renewed, &["wrap_info", "token"]);
    let unwrap = |token: &str| {
        rig.vault.handle(&Request::new(Method::Write, "sys/wrapping/unwrap").body(json!({"token": token})))
    };
    assert_eq!(unwrap(&token).status, 400);
    rig.later(61);
    assert_eq!(unwrap(&fresh).status, 400);
}

#[test]
fn a_cubbyhole_is_its_tokens_alone() {
    let rig = Rig::new();
    let token = |_| text(&rig.write("auth/token/create", json!({"policies": ["default"]})), &["auth", "client_token"]);
    let (mine, other) = (token(1), token(2));
    assert_eq!(rig.ask(Method::Write, "cubbyhole/note", &mine, json!({"k": "v"})).status, 204);
    assert_eq!(at(&rig.ask(Method::Read, "cubbyhole/note", &mine, Value::Null), &["data", "k"]), "v");
    assert_eq!(rig.ask(Method::Read, "cubbyhole/note", &other, Value::Null).status, 404);
    assert_eq!(rig.read("cubbyhole/note").status, 404, "not even root's");
}
