//! Webhooks: kept in a file, delivered by the ledger's delivery worker, one task each.

use crate::ServerError;
use crate::dto::Subscription;
use lem_ledger::webhook::{Webhook, deliver};
use lem_ledger::{Consumer, EventLog, Filter};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Webhooks at a time.
pub const SUBSCRIPTIONS_MAX: usize = 50;

struct Running {
    subscription: Subscription,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The cursor of a webhook, by the name the delivery worker gives it.
pub(crate) fn consumer(id: &str) -> Consumer {
    Consumer::new(format!("webhook/{id}"))
}

/// All webhooks.
pub(crate) struct Subscriptions {
    log: Arc<dyn EventLog>,
    path: Option<PathBuf>,
    running: Mutex<BTreeMap<String, Running>>,
}

impl Subscriptions {
    /// Those of the file, begun again where they stood.
    pub(crate) fn open(log: Arc<dyn EventLog>, path: Option<PathBuf>) -> Result<Self, ServerError> {
        let kept = match path.as_deref().map(read) {
            None => vec![],
            Some(read) => read.map_err(|source| failed(path.as_deref(), source))?,
        };
        let running = kept.into_iter().map(|s| (s.id.clone(), begin(&log, s))).collect();
        Ok(Self { log, path, running: Mutex::new(running) })
    }

    pub(crate) fn list(&self) -> Vec<Subscription> {
        self.running.lock().values().map(|r| r.subscription.clone()).collect()
    }

    /// Adds one; `Ok(false)` when there are too many.
    pub(crate) fn add(&self, subscription: Subscription) -> Result<bool, ServerError> {
        let mut running = self.running.lock();
        if running.len() >= SUBSCRIPTIONS_MAX {
            return Ok(false);
        }
        let mut all: Vec<_> = running.values().map(|r| r.subscription.clone()).collect();
        all.push(subscription.clone());
        self.keep(&all)?;
        running.insert(subscription.id.clone(), begin(&self.log, subscription));
        Ok(true)
    }

    /// Removes one; `Ok(false)` when there was none.
    pub(crate) fn remove(&self, id: &str) -> Result<bool, ServerError> {
        let mut running = self.running.lock();
        if !running.contains_key(id) {
            return Ok(false);
        }
        let rest: Vec<_> = running.values().map(|r| r.subscription.clone()).filter(|s| s.id != id).collect();
        self.keep(&rest)?;
        running.remove(id);
        Ok(true)
    }

    fn keep(&self, all: &[Subscription]) -> Result<(), ServerError> {
        let Some(path) = self.path.as_deref() else { return Ok(()) };
        let write = || {
            let beside = path.with_extension("new");
            std::fs::write(&beside, serde_json::to_vec_pretty(all)?)?;
            std::fs::File::open(&beside)?.sync_all()?;
            std::fs::rename(&beside, path)
        };
        write().map_err(|source| failed(Some(path), source))
    }
}

fn failed(path: Option<&Path>, source: io::Error) -> ServerError {
    ServerError::Subscriptions { path: path.map(|p| p.display().to_string()).unwrap_or_default(), source }
}

fn read(path: &Path) -> io::Result<Vec<Subscription>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error),
    }
}

fn begin(log: &Arc<dyn EventLog>, subscription: Subscription) -> Running {
    let filter = Filter {
        types: subscription.filter.types.clone(),
        subject: subscription.filter.subject.clone(),
        chain: subscription.filter.chain.clone(),
        ..Filter::all()
    };
    let hook = Webhook::new(subscription.id.clone(), subscription.url.clone(), filter);
    let log = Arc::clone(log);
    let task = tokio::spawn(async move {
        let name = hook.name.clone();
        if let Err(error) = deliver(log, hook, watch::channel(Default::default()).0).await {
            tracing::error!(webhook = name, %error, "delivery ended");
        }
    });
    Running { subscription, task }
}
