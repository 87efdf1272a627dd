//! A store in a temporary folder with a clock moved by hand.

use jiff::Timestamp;
use lem_engine_vault::{AuditRecord, Method, Options, Request, Response, Vault};
use lem_model::Clock;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("a time of the test")
    }
}

pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) vault: Vault,
    pub(crate) root: String,
    pub(crate) clock: Arc<Hand>,
    pub(crate) heard: Arc<Mutex<Vec<AuditRecord>>>,
}

pub(crate) const ROOT: &str = "root-of-the-test";

impl Rig {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let heard = Arc::new(Mutex::new(vec![]));
        let vault = open(folder.path(), &clock, &heard).expect("a new store opens");
        Self { folder, vault, root: ROOT.to_owned(), clock, heard }
    }

    pub(crate) fn reopened(self) -> Self {
        let Self { folder, vault, root, clock, heard } = self;
        drop(vault);
        let vault = open(folder.path(), &clock, &heard).expect("the store opens again");
        Self { folder, vault, root, clock, heard }
    }

    /// The folder without the store that was open over it.
    pub(crate) fn closed(self) -> (TempDir, Arc<Hand>, Arc<Mutex<Vec<AuditRecord>>>) {
        (self.folder, self.clock, self.heard)
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn ask(&self, method: Method, path: &str, token: &str, body: Value) -> Response {
        self.vault.handle(&Request::new(method, path).token(token).body(body))
    }

    pub(crate) fn read(&self, path: &str) -> Response {
        self.ask(Method::Read, path, &self.root, Value::Null)
    }

    pub(crate) fn list(&self, path: &str) -> Response {
        self.ask(Method::List, path, &self.root, Value::Null)
    }

    pub(crate) fn write(&self, path: &str, body: Value) -> Response {
        self.ask(Method::Write, path, &self.root, body)
    }

    /// A token with one policy.
    pub(crate) fn token(&self, policy: &str) -> String {
        assert_eq!(self.write("sys/policies/acl/test", serde_json::json!({ "policy": policy })).status, 204);
        let answer = self.write("auth/token/create", serde_json::json!({ "policies": ["test"] }));
        text(&answer, &["auth", "client_token"])
    }
}

pub(crate) fn open(
    folder: &Path,
    clock: &Arc<Hand>,
    heard: &Arc<Mutex<Vec<AuditRecord>>>,
) -> Result<Vault, lem_engine_vault::VaultError> {
    let ears = Arc::clone(heard);
    Vault::open(Options {
        folder: folder.to_owned(),
        key_file: None,
        root_token: Some(ROOT.to_owned()),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        listener: Some(Arc::new(move |record| ears.lock().expect("no test panics holding it").push(record.clone()))),
    })
}

pub(crate) fn at<'a>(answer: &'a Response, path: &[&str]) -> &'a Value {
    let body = answer.body.as_ref().expect("a body");
    path.iter().fold(body, |value, step| &value[*step])
}

pub(crate) fn text(answer: &Response, path: &[&str]) -> String {
    at(answer, path).as_str().unwrap_or_else(|| panic!("no text at {path:?} in {answer:?}")).to_owned()
}
