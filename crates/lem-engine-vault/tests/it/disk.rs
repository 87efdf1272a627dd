//! What is on the disk, and what a kill, a wrong key or a changed byte does.

use crate::rig::{ROOT, Rig, at, open};
use lem_engine_vault::{Method, Request, VaultError};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).expect("a folder of the test") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[test]
fn nothing_readable_is_on_the_disk() {
    let rig = Rig::new();
    rig.write("secret/data/payment-provider", json!({"data": {"api_key": "hunter2-hunter2"}}));
    rig.read("secret/data/payment-provider");
    let token = rig.token("path \"secret/*\" { capabilities = [\"read\"] }");
    rig.vault.lease("secret/payment-provider", "run:1", 60).expect("it is there");
    for file in files(rig.folder.path()) {
        let bytes = fs::read(&file).expect("a file of the store");
        let audit = file.ends_with("audit.log");
        for needle in ["hunter2", ROOT, token.as_str(), "payment-provider"] {
            let found = bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
            // An audit record names paths, as Vault's do; values and tokens only as fingerprints.
            assert!(!found || (audit && needle == "payment-provider"), "{needle} in {}", file.display());
        }
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o077, 0, "{}", file.display());
    }
}

#[test]
fn all_is_there_after_it_opens_again() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    rig.vault.rotate().expect("open");
    rig.write("secret/data/b", json!({"data": {"k": "w"}}));
    let token = rig.token("path \"secret/data/a\" { capabilities = [\"read\"] }");
    // A write that was cut off before its rename was never acknowledged.
    fs::write(rig.folder.path().join("records/half.new"), b"half").expect("a file of the test");
    let rig = rig.reopened();
    assert_eq!(at(&rig.ask(Method::Read, "secret/data/a", &token, Value::Null), &["data", "data", "k"]), "v");
    assert_eq!(at(&rig.read("secret/data/b"), &["data", "data", "k"]), "w");
    assert_eq!(at(&rig.read("sys/key-status"), &["data", "term"]), 2);
}

#[test]
fn a_changed_moved_or_foreign_file_stops_the_opening_by_name() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    let (folder, clock, heard) = rig.closed();
    let records = files(&folder.path().join("records"));
    let victim = records.last().expect("records are there");
    let good = fs::read(victim).expect("a record");
    let mut bad = good.clone();
    *bad.last_mut().expect("not empty") ^= 1;
    let fails = || open(folder.path(), &clock, &heard).expect_err("it must not open");
    fs::write(victim, &bad).expect("a file of the test");
    assert!(matches!(fails(), VaultError::Damaged { path } if path == *victim));
    fs::write(victim, &good[..good.len() / 2]).expect("a file of the test");
    assert!(matches!(fails(), VaultError::Damaged { .. }));
    fs::write(victim, fs::read(&records[0]).expect("a record")).expect("a file of the test");
    assert!(matches!(fails(), VaultError::Damaged { .. }), "a record under another's name");
    fs::write(victim, &good).expect("a file of the test");
    open(folder.path(), &clock, &heard).expect("whole again");
}

#[test]
fn the_key_must_be_the_right_one_and_private() {
    let (folder, clock, heard) = Rig::new().closed();
    let key = folder.path().join("seal.key");
    let good = fs::read(&key).expect("the key");
    fs::write(&key, "00".repeat(32)).expect("a file of the test");
    let fails = || open(folder.path(), &clock, &heard).expect_err("it must not open");
    assert!(matches!(fails(), VaultError::WrongKey { .. }));
    fs::write(&key, &good).expect("a file of the test");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
    let error = fails();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    fs::remove_file(&key).expect("it is there");
    assert!(matches!(fails(), VaultError::File { .. }), "a lost key is not replaced by a new one");
}

#[test]
fn a_root_token_that_was_replaced_opens_nothing() {
    let (folder, clock, heard) = Rig::new().closed();
    let with = |token: &str| {
        lem_engine_vault::Vault::open(lem_engine_vault::Options {
            folder: folder.path().to_owned(),
            key_file: None,
            root_token: Some(token.to_owned()),
            clock: clock.clone(),
            listener: None,
        })
        .expect("the store opens")
    };
    let vault = with("another-root-token");
    let ask = |token: &str| vault.handle(&Request::new(Method::Read, "sys/mounts").token(token)).status;
    assert_eq!((ask(ROOT), ask("another-root-token")), (403, 200));
    drop(heard);
}

#[test]
fn two_programs_do_not_write_over_each_other() {
    let rig = Rig::new();
    let second = open(rig.folder.path(), &rig.clock, &rig.heard).expect_err("it is in use");
    assert!(matches!(second, VaultError::InUse { .. }));
    rig.reopened();
}

#[test]
fn sealed_it_answers_503_until_the_key_comes() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "v"}}));
    assert_eq!(rig.write("sys/seal", json!({})).status, 204);
    assert_eq!(rig.read("secret/data/a").status, 503);
    assert_eq!(rig.read("sys/health").status, 503);
    assert_eq!(at(&rig.read("sys/seal-status"), &["sealed"]), true);
    let key = fs::read_to_string(rig.folder.path().join("seal.key")).expect("the key");
    assert_eq!(rig.write("sys/unseal", json!({"key": "00"})).status, 400);
    assert_eq!(at(&rig.write("sys/unseal", json!({"key": key})), &["sealed"]), false);
    assert_eq!(rig.read("secret/data/a").status, 200);
    let mut asked = Request::new(Method::Read, "sys/health");
    asked.query = vec![("activecode".into(), "204".into())];
    assert_eq!(rig.vault.handle(&asked).status, 204);
}

#[test]
fn every_request_is_recorded_before_it_is_answered() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "hunter2"}}));
    rig.ask(Method::Read, "secret/data/a", "nobody", Value::Null);
    let log = fs::read_to_string(rig.folder.path().join("audit.log")).expect("the audit file");
    let lines: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["request"]["path"], "secret/data/a");
    assert_eq!(lines[1]["response"]["status"], 403);
    let hash = rig.write("sys/audit-hash/file", json!({"input": "hunter2"}));
    assert_eq!(
        at(&hash, &["data", "hash"]),
        &lines[0]["request"]["data"]["data"]["k"],
        "who knows the value can find it"
    );
    let heard = rig.heard.lock().expect("no test panics holding it");
    assert_eq!((heard[0].operation.as_str(), heard[0].version), ("update", Some(1)));
}

#[test]
fn no_audit_no_secret() {
    let rig = Rig::new();
    rig.write("secret/data/a", json!({"data": {"k": "hunter2"}}));
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::os::unix::fs::symlink("/dev/full", folder.path().join("audit.log")).expect("a link");
    let vault = open(folder.path(), &rig.clock, &rig.heard).expect("a new store opens");
    let answer = vault.handle(&Request::new(Method::Read, "sys/mounts").token(ROOT));
    assert_eq!(answer.status, 500);
    assert!(at(&answer, &["errors"])[0].as_str().is_some_and(|e| e.contains("audit.log")), "{answer:?}");
}
