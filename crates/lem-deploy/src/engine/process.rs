//! The process target: a child process per instance, each on a port of its own.
//!
//! An artifact is unpacked once per digest. Children get `PORT`, `LEM_SERVICE`, `LEM_VERSION`, `LEM_ENVIRONMENT` and
//! `SERVICE_VERSION`, live in a process group of their own, and what they say on stdout and stderr goes to the log
//! sink. Secrets that the configuration names reach a child as environment variables and are leased to its instance
//! from start to end; in what it says they are masked. One that ends unasked is started again with a growing delay; one that ends again and again before it was
//! ready is reported as crashed.
//!
//! After the program itself was killed its children may still run, but nobody reads what they say and the router that
//! fed them is gone. They are therefore not adopted: each leaves a note with process id and start time, and the next
//! start ends the groups whose notes still hold before it starts anything.

mod health;
mod instance;
mod leftover;
mod lent;
mod lines;

use super::{Caps, Happening, Observed, Target, VersionSpec};
use crate::DeployError;
use crate::config::Process;
use crate::plan::{Crash, Fault, Readiness};
use async_trait::async_trait;
use instance::Supervised;
use jiff::SignedDuration;
use lem_model::port::{ArtifactSource, LogSink, Scope, SecretSource};
use lem_model::{Clock, Digest, Version};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What happened and was not looked at yet.
const HAPPENINGS_MAX: usize = 10_000;

/// Time after which a version that lacked something is tried again.
const LACKED_FOR: SignedDuration = SignedDuration::from_secs(10);

/// How often, and how many times in a row, health is asked for.
#[derive(Clone, Copy, Debug)]
pub struct HealthChecks {
    /// Time between two checks.
    pub interval: Duration,
    /// Passed checks in a row that make an instance ready; as many failed ones make it unready again.
    pub in_a_row: u32,
    /// Time one check may take.
    pub timeout: Duration,
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), in_a_row: 3, timeout: Duration::from_secs(5) }
    }
}

/// What instances share.
pub(crate) struct Shared {
    pub(crate) root: PathBuf,
    pub(crate) processes: BTreeMap<Scope, Process>,
    pub(crate) artifacts: Arc<dyn ArtifactSource>,
    pub(crate) logs: Option<Arc<dyn LogSink>>,
    pub(crate) secrets: Option<Arc<dyn SecretSource>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) checks: HealthChecks,
    pub(crate) seen: Mutex<Seen>,
    changed: watch::Sender<u64>,
    unpacking: tokio::sync::Mutex<()>,
}

/// What there is to see, per place.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) crashed: BTreeMap<(Scope, Version), Crash>,
    happened: BTreeMap<Scope, VecDeque<Happening>>,
    dropped: u64,
}

impl Shared {
    pub(crate) fn happen(&self, scope: &Scope, happening: Happening) {
        let mut seen = self.seen.lock();
        let queue = seen.happened.entry(scope.clone()).or_default();
        queue.push_back(happening);
        if queue.len() > HAPPENINGS_MAX {
            queue.pop_front();
            seen.dropped += 1;
            tracing::warn!(dropped = seen.dropped, "instances start and end faster than they are recorded");
        }
        drop(seen);
        self.touch();
    }

    pub(crate) fn touch(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Directory of a digest, unpacked. Unpacking happens beside it and moves in whole, so that a directory of that
    /// name is always complete.
    pub(crate) async fn unpacked(&self, digest: &Digest) -> Result<PathBuf, String> {
        let versions = self.root.join("versions");
        let done = versions.join(digest.hex());
        let _one_at_a_time = self.unpacking.lock().await;
        if done.is_dir() {
            return Ok(done);
        }
        let text = |error: std::io::Error| format!("cannot prepare {}: {error}", done.display());
        let partial = versions.join(format!("{}.partial", digest.hex()));
        if partial.exists() {
            tokio::fs::remove_dir_all(&partial).await.map_err(text)?;
        }
        tokio::fs::create_dir_all(&partial).await.map_err(text)?;
        self.artifacts.unpack(digest, &partial).await.map_err(|error| error.to_string())?;
        tokio::fs::rename(&partial, &done).await.map_err(text)?;
        Ok(done)
    }
}

/// Child processes of all services.
pub struct ProcessTarget {
    shared: Arc<Shared>,
    running: Mutex<BTreeMap<(Scope, Version), Vec<Supervised>>>,
}

impl std::fmt::Debug for ProcessTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessTarget").field("root", &self.shared.root).finish_non_exhaustive()
    }
}

/// What a process target is built from.
pub struct ProcessOptions {
    /// Directory for unpacked versions and notes about children.
    pub root: PathBuf,
    /// How each service runs where.
    pub processes: BTreeMap<Scope, Process>,
    /// Where artifacts come from.
    pub artifacts: Arc<dyn ArtifactSource>,
    /// Where lines go; dropped when there is none.
    pub logs: Option<Arc<dyn LogSink>>,
    /// Gives secrets, as leases that end with the instance.
    pub secrets: Option<Arc<dyn SecretSource>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Health checks.
    pub checks: HealthChecks,
}

impl std::fmt::Debug for ProcessOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessOptions").field("root", &self.root).finish_non_exhaustive()
    }
}

impl ProcessTarget {
    /// Ends what an earlier life left running, then is ready for orders.
    pub async fn start(options: ProcessOptions) -> Result<Arc<Self>, DeployError> {
        let ProcessOptions { root, processes, artifacts, logs, secrets, clock, checks } = options;
        for dir in ["versions", "instances"] {
            let path = root.join(dir);
            std::fs::create_dir_all(&path).map_err(|source| DeployError::File { doing: "create", path, source })?;
        }
        leftover::end_all(&root.join("instances")).await;
        let shared = Arc::new(Shared {
            root,
            processes,
            artifacts,
            logs,
            secrets,
            clock,
            checks,
            seen: Mutex::default(),
            changed: watch::channel(0).0,
            unpacking: tokio::sync::Mutex::default(),
        });
        Ok(Arc::new(Self { shared, running: Mutex::default() }))
    }

    /// Ends all children; for the end of the program.
    pub async fn stop(&self, grace: Duration) {
        let all: Vec<Supervised> = std::mem::take(&mut *self.running.lock()).into_values().flatten().collect();
        let ends = all.into_iter().map(|instance| async move {
            instance.leave(grace);
            instance.ended().await;
        });
        futures::future::join_all(ends).await;
    }
}

#[async_trait]
impl Target for ProcessTarget {
    fn caps(&self) -> Caps {
        Caps { replicas: true, side_by_side: true, adopts: false }
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, DeployError> {
        let mut running = self.running.lock();
        let mut observed = Observed::default();
        for ((_, version), instances) in running.iter_mut().filter(|((at, _), _)| at == scope) {
            instances.retain(|i| !i.is_ended());
            observed.instances.extend(instances.iter().map(|i| i.seen(version)));
        }
        running.retain(|_, instances| !instances.is_empty());
        drop(running);
        let now = self.shared.clock.now();
        let mut seen = self.shared.seen.lock();
        let holds = |crash: &Crash| crash.fault == Fault::Version || now.duration_since(crash.at) < LACKED_FOR;
        seen.crashed.retain(|_, crash| holds(crash));
        let crashed = seen.crashed.iter().filter(|((at, _), _)| at == scope);
        observed.crashed = crashed.map(|((_, version), crash)| (version.clone(), crash.clone())).collect();
        observed.happened = seen.happened.remove(scope).unwrap_or_default().into();
        Ok(observed)
    }

    async fn ensure(&self, spec: &VersionSpec, replicas: u32) -> Result<(), DeployError> {
        let Some(process) = self.shared.processes.get(&spec.scope) else {
            return Err(DeployError::Place {
                service: spec.scope.service.clone(),
                version: spec.placed.version.clone(),
                why: "no process is configured there".to_owned(),
            });
        };
        let key = (spec.scope.clone(), spec.placed.version.clone());
        let mut running = self.running.lock();
        let instances = running.entry(key.clone()).or_default();
        instances.retain(|i| !i.is_ended());
        let staying = instances.iter().filter(|i| i.readiness() != Readiness::Leaving).count();
        if staying == 0 {
            // A fresh start gets a fresh chance.
            self.shared.seen.lock().crashed.remove(&key);
        }
        for _ in staying..replicas as usize {
            instances.push(Supervised::start(self.shared.clone(), spec.clone(), process.clone()));
        }
        // Those that are not ready go first.
        let mut order: Vec<&Supervised> = instances.iter().filter(|i| i.readiness() != Readiness::Leaving).collect();
        order.sort_by_key(|i| i.readiness() == Readiness::Ready);
        for instance in order.iter().take(staying.saturating_sub(replicas as usize)) {
            instance.leave(process.drain);
        }
        Ok(())
    }

    async fn retire(&self, scope: &Scope, version: &Version, grace: Duration) -> Result<(), DeployError> {
        let running = self.running.lock();
        for instance in running.get(&(scope.clone(), version.clone())).into_iter().flatten() {
            instance.leave(grace);
        }
        self.shared.seen.lock().crashed.remove(&(scope.clone(), version.clone()));
        Ok(())
    }

    async fn forget(&self, keep: &[Digest]) -> Result<(), DeployError> {
        let dir = self.shared.root.join("versions");
        let list =
            std::fs::read_dir(&dir).map_err(|source| DeployError::File { doing: "list", path: dir.clone(), source })?;
        for entry in list.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !keep.iter().any(|digest| digest.hex() == name) && !name.ends_with(".partial") {
                let path = entry.path();
                if let Err(error) = tokio::fs::remove_dir_all(&path).await {
                    tracing::warn!(path = %path.display(), %error, "an old version cannot be removed");
                }
            }
        }
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}
