//! Secrets of services: leased to an instance, hidden in what it says, given back when it ends.

use crate::process::{Artifacts, CHECKS, Lines, first_started, none, process, ready, spec, until};
use async_trait::async_trait;
use lem_deploy::engine::Target;
use lem_deploy::engine::process::{ProcessOptions, ProcessTarget};
use lem_deploy::plan::Fault;
use lem_model::port::{SecretSource, SourceError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A store that remembers who holds what.
#[derive(Default)]
struct Store {
    values: Mutex<BTreeMap<String, String>>,
    sealed: Mutex<bool>,
    held: Mutex<Vec<(String, String)>>,
    lent: Mutex<usize>,
}

#[async_trait]
impl SecretSource for Store {
    async fn secret(&self, name: &str) -> Result<Option<String>, SourceError> {
        Ok(self.values.lock().get(name).cloned())
    }

    async fn names(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.values.lock().keys().cloned().collect())
    }

    async fn lease(&self, name: &str, to: &str) -> Result<Option<String>, SourceError> {
        if *self.sealed.lock() {
            return Err(SourceError::Unreachable { what: "the secret store".into(), why: "it is sealed".into() });
        }
        let value = self.values.lock().get(name).cloned();
        if value.is_some() {
            *self.lent.lock() += 1;
            self.held.lock().push((name.to_owned(), to.to_owned()));
        }
        Ok(value)
    }

    async fn release(&self, to: &str) -> Result<(), SourceError> {
        self.held.lock().retain(|(_, holder)| holder != to);
        Ok(())
    }
}

fn store(values: &[(&str, &str)]) -> Arc<Store> {
    let store = Store::default();
    *store.values.lock() = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Arc::new(store)
}

async fn target(root: &Path, lines: &Arc<Lines>, secrets: Option<Arc<Store>>) -> Arc<ProcessTarget> {
    let mut process = process();
    process.env.clear();
    process.secrets = vec![("COLOR".into(), "shop/paint#color".into()), ("OTHER".into(), "shop/paint#other".into())];
    ProcessTarget::start(ProcessOptions {
        root: root.to_owned(),
        processes: [(crate::fake::scope(), process)].into(),
        artifacts: Arc::new(Artifacts::default()),
        logs: Some(lines.clone()),
        secrets: secrets.map(|s| s as Arc<dyn SecretSource>),
        clock: crate::fake::HandClock::start(),
        checks: CHECKS,
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_lent_from_start_to_end_and_hidden() {
    let (dir, lines) = (tempfile::tempdir().unwrap(), Arc::<Lines>::default());
    let store = store(&[("shop/paint#color", "emerald-7f3a"), ("shop/paint#other", "x-second-one")]);
    let target = target(dir.path(), &lines, Some(store.clone())).await;
    let mut happened = vec![];
    target.ensure(&spec("v1"), 1).await.unwrap();
    until(&target, &mut happened, ready(1)).await;
    let (instance, pid) = first_started(&happened);
    let holder = format!("instance:{instance}");
    let held: Vec<_> = store.held.lock().clone();
    assert_eq!(held, [("shop/paint#color".into(), holder.clone()), ("shop/paint#other".into(), holder.clone())]);
    assert_eq!(String::from_utf8_lossy(&lines.0.lock()[0].line), "listening v1 ***", "the child has it, the log not");

    // It dies and is started again: the next instance has leases of its own.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
    until(&target, &mut happened, ready(0)).await;
    until(&target, &mut happened, ready(1)).await;
    assert!(store.held.lock().iter().all(|(_, to)| *to != holder), "{:?}", store.held.lock());
    assert_eq!((store.held.lock().len(), *store.lent.lock()), (2, 4));

    target.retire(&crate::fake::scope(), &"v1".into(), Duration::from_secs(5)).await.unwrap();
    until(&target, &mut happened, none).await;
    assert_eq!(store.held.lock().len(), 0);
    assert!(!format!("{happened:?}").contains("emerald"), "what is recorded does not have it");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_a_service_does_not_start_and_says_which() {
    let only = [("shop/paint#color", "emerald")];
    for (secrets, expect) in [
        (
            Some(store(&only)),
            "service shop in production needs OTHER, and there is no secret shop/paint#other; \
             lem secret set shop/paint other=- writes it",
        ),
        (
            None,
            "service shop in production needs COLOR from the secret shop/paint#color, and no secret \
             store is connected",
        ),
    ] {
        let (dir, lines) = (tempfile::tempdir().unwrap(), Arc::<Lines>::default());
        let target = target(dir.path(), &lines, secrets.clone()).await;
        let mut happened = vec![];
        target.ensure(&spec("v1"), 1).await.unwrap();
        let seen = until(&target, &mut happened, |seen| !seen.crashed.is_empty() && none(seen)).await;
        let crash = &seen.crashed[&"v1".into()];
        assert_eq!((crash.why.as_str(), crash.fault), (expect, Fault::Surroundings));
        assert!(happened.is_empty() && lines.0.lock().is_empty(), "nothing ran: {happened:?}");
        if let Some(store) = secrets {
            assert_eq!(store.held.lock().len(), 0, "what it had is given back");
            store.values.lock().insert("shop/paint#other".into(), "y".into());
            target.ensure(&spec("v1"), 1).await.unwrap();
            until(&target, &mut happened, ready(1)).await;
        }
        target.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_asked_again() {
    let (dir, lines) = (tempfile::tempdir().unwrap(), Arc::<Lines>::default());
    let store = store(&[("shop/paint#color", "emerald"), ("shop/paint#other", "other-value")]);
    *store.sealed.lock() = true;
    let target = target(dir.path(), &lines, Some(store.clone())).await;
    let mut happened = vec![];
    target.ensure(&spec("v1"), 1).await.unwrap();
    let seen = until(&target, &mut happened, |seen| !seen.crashed.is_empty()).await;
    let why = &seen.crashed[&"v1".into()].why;
    assert!(why.ends_with("shop/paint#color: the secret store is unreachable: it is sealed"), "{why}");
    *store.sealed.lock() = false;
    until(&target, &mut happened, ready(1)).await;
    target.stop(Duration::from_secs(5)).await;
}
