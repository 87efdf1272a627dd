//! State files, the journal, the lease.

use jiff::SignedDuration;
use lem_provision::ProvisionError;
use lem_provision::lock::LeaseTimes;
use lem_provision::state::{InstanceState, Object, State};
use lem_provision::store::Store;
use lem_testkit::SeededClock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SECRET: &str = "correct-horse-battery";

fn object(name: &str) -> Object {
    let mut current = InstanceState::default();
    current.attributes.insert("id".into(), name.into());
    current.attributes.insert("input".into(), SECRET.into());
    Object {
        module: None,
        data: false,
        kind: "terraform_data".into(),
        name: name.into(),
        provider: r#"provider["terraform.io/builtin/terraform"]"#.into(),
        key: None,
        current: Some(current),
        deposed: Default::default(),
    }
}

fn store(folder: &Path, clock: &Arc<SeededClock>) -> Store {
    Store::new(&folder.join("own"), &folder.join("terraform.tfstate"), clock.clone(), LeaseTimes::default())
}

/// A state whose operation was killed after two results: one session begun, its process gone.
async fn killed(folder: &Path, clock: &Arc<SeededClock>) -> Store {
    let store = store(folder, clock);
    let mut session = store.session("apply", Duration::ZERO, &|_| {}).await.unwrap();
    session.begin("sha256:plan").unwrap();
    for name in ["a", "b"] {
        let ticket = session.result(&format!("terraform_data.{name}"), Some(object(name))).unwrap();
        ticket.await.unwrap().unwrap();
    }
    session.intent("terraform_data.c", "create").unwrap().await.unwrap().unwrap();
    // A kill runs no destructor: the lease stays.
    std::mem::forget(session);
    store
}

#[tokio::test]
async fn what_was_journaled_counts_and_is_folded_by_the_next_holder() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SeededClock::new());
    let store = killed(folder.path(), &clock).await;
    let loaded = store.load().unwrap();
    assert_eq!(loaded.state.objects.keys().collect::<Vec<_>>(), ["terraform_data.a", "terraform_data.b"]);
    assert_eq!(loaded.pending, [("terraform_data.c".to_owned(), "create".to_owned())]);

    let Err(ProvisionError::Locked(holder)) = store.session("plan", Duration::ZERO, &|_| {}).await else {
        panic!("the lease has not run out")
    };
    assert_eq!(holder.operation, "apply");
    clock.advance(SignedDuration::from_secs(61));
    let session = store.session("plan", Duration::ZERO, &|_| {}).await.unwrap();
    assert_eq!(session.state().serial, 1);
    drop(session);
    let text = std::fs::read_to_string(store.state_path()).unwrap();
    assert_eq!(State::parse(text.as_bytes()).unwrap().objects.len(), 2);
    assert!(!folder.path().join("own/journal").exists());
    assert!(store.holder().is_none(), "a lease that is dropped is free");
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_damage_before_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SeededClock::new());
    let store = killed(folder.path(), &clock).await;
    let journal = folder.path().join("own/journal");
    let whole = std::fs::read(&journal).unwrap();
    assert!(!String::from_utf8_lossy(&whole).contains(SECRET), "the journal is encrypted");

    for cut in [1, 7, 40] {
        std::fs::write(&journal, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(store.load().unwrap().state.objects.len(), 2, "only the intent is torn by {cut}");
    }
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    std::fs::write(&journal, &damaged).unwrap();
    let message = store.load().unwrap_err().to_string();
    assert!(
        message.contains("is damaged at byte 0: the checksum does not match; 0 record(s) before it are good"),
        "{message}"
    );
}

#[tokio::test]
async fn another_lineage_and_a_newer_serial_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SeededClock::new());
    let store = killed(folder.path(), &clock).await;
    std::fs::write(store.state_path(), State::new("somebody-else").to_text()).unwrap();
    let message = store.load().unwrap_err().to_string();
    assert!(message.contains("its lineage is somebody-else"), "{message}");
}

#[tokio::test]
async fn a_lock_of_terraform_is_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SeededClock::new());
    let store = store(folder.path(), &clock);
    let info =
        r#"{"ID":"f3","Operation":"OperationTypeApply","Who":"ann@host","Created":"2026-01-01T00:00:00Z","Path":"x"}"#;
    std::fs::write(folder.path().join(".terraform.tfstate.lock.info"), info).unwrap();
    let error = store.session("apply", Duration::ZERO, &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("locked by ann@host for OperationTypeApply"), "{error}");
    assert!(store.unlock("f3").unwrap());
    assert!(store.session("apply", Duration::ZERO, &|_| {}).await.is_ok());
}

#[test]
fn states_that_cannot_be_used_are_refused_with_the_reason() {
    let table = [
        ("", "the file is empty"),
        (r#"{"version": 4, "lineage": "x", "#, "line 1, column 31: not a whole JSON document"),
        (r#"{"version": 5}"#, "format 5 is newer than 4"),
        (r#"{"version": 3}"#, "format 3 is older than 4"),
        (r#"{"a": 1}"#, "this is no Terraform state"),
        (r#"{"version": 4}"#, "no \"lineage\""),
    ];
    for (text, expected) in table {
        let error = State::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn fields_we_do_not_know_survive() {
    let text = r#"{"version":4,"terraform_version":"1.9.0","serial":7,"lineage":"l","outputs":{},"resources":[{"mode":"managed",
        "type":"aws_x","name":"y","provider":"provider[\"p\"]","instances":[{"index_key":1,"schema_version":2,"attributes":{"a":1},
        "sensitive_attributes":[],"identity_schema_version":3,"private":"cA=="},{"index_key":0,"deposed":"00000001","attributes":{}}]}],"check_results":null,"more":{"x":1}}"#;
    let once = State::parse(text.as_bytes()).unwrap();
    let again = State::parse(once.to_text().as_bytes()).unwrap();
    assert_eq!(once, again);
    for kept in ["identity_schema_version", "\"more\"", "cA==", "\"deposed\": \"00000001\""] {
        assert!(once.to_text().contains(kept), "{kept}");
    }
    assert!(once.objects["aws_x.y[0]"].deposed.contains_key("00000001"));
}
