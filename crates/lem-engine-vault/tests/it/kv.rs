//! Key-value secrets.

use crate::rig::{Rig, at};
use lem_engine_vault::Method;
use serde_json::{Value, json};

#[test]
fn versions_are_written_read_deleted_restored_and_destroyed() {
    let rig = Rig::new();
    let first = rig.write("secret/data/shop/db", json!({"data": {"password": "one"}, "options": {"cas": 0}}));
    assert_eq!((first.status, at(&first, &["data", "version"])), (200, &json!(1)));
    rig.write("secret/data/shop/db", json!({"data": {"password": "two"}}));
    assert_eq!(at(&rig.read("secret/data/shop/db"), &["data", "data", "password"]), "two");
    assert_eq!(at(&rig.read("secret/metadata/shop/db"), &["data", "current_version"]), 2);
    let mut old = lem_engine_vault::Request::new(Method::Read, "secret/data/shop/db").token(&rig.root);
    old.query = vec![("version".into(), "1".into())];
    assert_eq!(at(&rig.vault.handle(&old), &["data", "data", "password"]), "one");

    assert_eq!(rig.ask(Method::Delete, "secret/data/shop/db", &rig.root, Value::Null).status, 204);
    let deleted = rig.read("secret/data/shop/db");
    assert_eq!(deleted.status, 404, "and yet with a body that tells it from what never was");
    assert_eq!(at(&deleted, &["data", "data"]), &Value::Null);
    assert_ne!(at(&deleted, &["data", "metadata", "deletion_time"]), "");

    rig.write("secret/undelete/shop/db", json!({"versions": [2]}));
    assert_eq!(rig.read("secret/data/shop/db").status, 200);
    rig.write("secret/destroy/shop/db", json!({"versions": [2]}));
    let destroyed = rig.read("secret/data/shop/db");
    assert_eq!((destroyed.status, at(&destroyed, &["data", "metadata", "destroyed"])), (404, &json!(true)));
    assert_eq!(rig.ask(Method::Delete, "secret/metadata/shop/db", &rig.root, Value::Null).status, 204);
    let never = rig.read("secret/data/shop/db");
    assert_eq!((never.status, at(&never, &["errors"])), (404, &json!([])));
}

#[test]
fn check_and_set_protects_what_somebody_else_wrote() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    let lost = rig.write("secret/data/a", json!({"data": {"k": "w"}, "options": {"cas": 0}}));
    assert_eq!(lost.status, 400);
    assert_eq!(at(&lost, &["errors", ""]), &Value::Null);
    assert!(at(&lost, &["errors"])[0].as_str().is_some_and(|e| e.contains("did not match the current version")));
    rig.write("secret/config", json!({"cas_required": true, "max_versions": 3}));
    assert_eq!(rig.write("secret/data/a", json!({"data": {"k": "w"}})).status, 400);
    assert_eq!(rig.write("secret/data/a", json!({"data": {"k": "w"}, "options": {"cas": 1}})).status, 200);
    assert_eq!(at(&rig.read("secret/config"), &["data", "max_versions"]), 3);
}

#[test]
fn lists_show_names_and_folders() {
    let rig = Rig::new();
    for key in ["a", "b/c", "b/d", "e"] {
        rig.write(&format!("secret/data/{key}"), json!({"data": {}}));
    }
    assert_eq!(at(&rig.list("secret/metadata/"), &["data", "keys"]), &json!(["a", "b/", "e"]));
    assert_eq!(at(&rig.list("secret/metadata/b"), &["data", "keys"]), &json!(["c", "d"]));
    assert_eq!(rig.list("secret/metadata/nowhere").status, 404);
}

#[test]
fn a_patch_changes_what_it_names() {
    let rig = Rig::new();
    assert_eq!(rig.ask(Method::Patch, "secret/data/a", &rig.root, json!({"data": {"x": 1}})).status, 404);
    rig.write("secret/data/a", json!({"data": {"keep": "k", "drop": "d", "in": {"x": 1}}}));
    rig.ask(Method::Patch, "secret/data/a", &rig.root, json!({"data": {"drop": null, "in": {"y": 2}}}));
    assert_eq!(at(&rig.read("secret/data/a"), &["data", "data"]), &json!({"keep": "k", "in": {"x": 1, "y": 2}}));
    assert_eq!(
        at(&rig.read("secret/subkeys/a"), &["data", "subkeys"]),
        &json!({"keep": null, "in": {"x": null, "y": null}})
    );
}

#[test]
fn custom_metadata_and_lives_of_versions() {
    let rig = Rig::new();
    let written = json!({"custom_metadata": {"owner": "shop"}, "delete_version_after": "1m"});
    assert_eq!(rig.write("secret/metadata/a", written).status, 204);
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    let read = rig.read("secret/data/a");
    assert_eq!(at(&read, &["data", "metadata", "custom_metadata", "owner"]), "shop");
    rig.later(61);
    assert_eq!(rig.read("secret/data/a").status, 404);
    assert_eq!(at(&rig.read("secret/metadata/a"), &["data", "delete_version_after"]), "1m0s");
}

#[test]
fn what_is_too_large_or_not_an_object_is_refused() {
    let rig = Rig::new();
    let large = "x".repeat(lem_engine_vault::limits::SECRET_BYTES);
    for (body, expect) in [
        (json!({"data": {"k": large}}), "the limit is"),
        (json!({"data": [1]}), "no object"),
        (json!({}), "no data provided"),
        (json!({"data": {}, "options": {"cas": "x"}}), "check-and-set"),
    ] {
        let answer = rig.write("secret/data/a", body);
        assert_eq!(answer.status, 400);
        assert!(at(&answer, &["errors"])[0].as_str().is_some_and(|e| e.contains(expect)), "{expect}: {answer:?}");
    }
    assert_eq!(rig.read("secret/colour/a").status, 404);
    assert_eq!(rig.read("secret/data/").status, 400);
}

#[test]
fn version_one_and_mounts() {
    let rig = Rig::new();
    assert_eq!(rig.write("sys/mounts/old", json!({"type": "kv"})).status, 204);
    assert_eq!(rig.write("old/a", json!({"k": "v"})).status, 204);
    assert_eq!(at(&rig.read("old/a"), &["data", "k"]), "v");
    assert_eq!(at(&rig.list("old/"), &["data", "keys"]), &json!(["a"]));
    let listed = rig.read("sys/mounts");
    assert_eq!(at(&listed, &["data", "old/", "options", "version"]), "1");
    assert_eq!(at(&listed, &["secret/", "type"]), "kv");
    for (path, body) in [
        ("sys/mounts/old", json!({"type": "kv"})),
        ("sys/mounts/logs", json!({"type": "kv"})),
        ("sys/mounts/db", json!({"type": "database"})),
    ] {
        assert_eq!(rig.write(path, body).status, 400, "{path}");
    }
    assert_eq!(rig.ask(Method::Delete, "sys/mounts/old", &rig.root, Value::Null).status, 204);
    assert_eq!(rig.read("old/a").status, 404);
    rig.write("sys/mounts/old", json!({"type": "kv"}));
    assert_eq!(rig.read("old/a").status, 404, "a mount that comes again finds nothing of the first");
}

#[test]
fn the_preflight_of_clients() {
    let rig = Rig::new();
    let found = rig.read("sys/internal/ui/mounts/secret/data/a");
    assert_eq!(
        (at(&found, &["data", "path"]), at(&found, &["data", "options", "version"])),
        (&json!("secret/"), &json!("2"))
    );
    assert_eq!(
        rig.read("sys/internal/ui/mounts/nowhere").status,
        403,
        "a mount that is not there looks like one that is not allowed"
    );
}
