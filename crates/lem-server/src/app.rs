//! What the server is put together from, and what every handler sees.

use crate::api::limits::{QUERIES_MAX, RECEIVING_MAX, WHOLE_READS_MAX};
use crate::port::{Alerting, Artifacts, Costs, Dashboards, Doctor, Metrics, Reports, RunLogs, Surroundings, Watching};
use crate::record::Record;
use crate::subscriptions::Subscriptions;
use crate::view::home::Repository;
use jiff::{SignedDuration, Timestamp};
use lem_engine_logs::LogStore;
use lem_engine_promql::Engine;
use lem_feedback::LoopState;
use lem_ledger::{EventLog, Options, Recorder, View};
use lem_model::{Clock, Seq};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Live streams (events, logs) at a time.
pub const STREAMS_MAX: usize = 256;

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Whoever reaches the port.
    Open,
    /// Whoever has the token.
    Token,
}

/// Which names the server answers to: a page elsewhere must not reach it by a name of its own (DNS rebinding).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// `localhost` and plain addresses: a page elsewhere needs a name to reach us by.
    Addresses,
    /// These too.
    Listed(Vec<String>),
    /// Any name: the server stands behind something that checks.
    Any,
}

/// How the server behaves.
#[derive(Clone)]
pub struct Settings {
    /// Whose loop it is.
    pub repository: Repository,
    /// Token of everything that writes.
    pub token: String,
    /// Who may read.
    pub reading: Reading,
    /// Names it answers to.
    pub hosts: Hosts,
    /// Where webhooks are kept; in memory only when absent.
    pub subscriptions: Option<PathBuf>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("repository", &self.repository)
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

/// The ledger on disk, for what only it can do: proofs under its key, verification, audit packages.
#[derive(Clone, Debug)]
pub struct Audit {
    /// It.
    pub ledger: Arc<lem_ledger::Ledger>,
    /// How it was opened; verification opens it again, for reading only.
    pub options: Options,
    /// Kind and place of the database, without password.
    pub database: String,
}

/// What the server asks. An absent part makes its routes answer 501 and say so.
#[derive(Clone)]
pub struct ServerParts {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Incidents, attributions, DORA.
    pub feedback: View<LoopState>,
    /// The ledger on disk.
    pub audit: Option<Audit>,
    /// Metric store.
    pub metrics: Option<Arc<dyn Metrics>>,
    /// Rules and targets.
    pub watching: Option<Arc<dyn Watching>>,
    /// Alert groups and silences.
    pub alerting: Option<Arc<dyn Alerting>>,
    /// Log store.
    pub logs: Option<LogStore>,
    /// Logs of jobs.
    pub run_logs: Option<Arc<dyn RunLogs>>,
    /// Archives.
    pub artifacts: Option<Arc<dyn Artifacts>>,
    /// Dashboards.
    pub dashboards: Option<Arc<dyn Dashboards>>,
    /// Published reports.
    pub reports: Option<Arc<dyn Reports>>,
    /// More checks for `doctor`.
    pub doctor: Option<Arc<dyn Doctor>>,
    /// Infrastructure, prices, reports.
    pub surroundings: Option<Arc<dyn Surroundings>>,
    /// The secret store, served under `/v1/`.
    pub vault: Option<Arc<lem_engine_vault::Vault>>,
}

impl ServerParts {
    /// With what every server needs.
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, feedback: View<LoopState>) -> Self {
        Self {
            log,
            clock,
            feedback,
            audit: None,
            metrics: None,
            watching: None,
            alerting: None,
            logs: None,
            run_logs: None,
            artifacts: None,
            dashboards: None,
            reports: None,
            doctor: None,
            surroundings: None,
            vault: None,
        }
    }
}

impl fmt::Debug for ServerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerParts").field("audit", &self.audit.is_some()).finish_non_exhaustive()
    }
}

/// Counters of the server itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) events: AtomicU64,
}

/// What the files cost as it was asked last.
#[derive(Default)]
struct KeptCosts {
    asked: Option<Timestamp>,
    answer: Option<Costs>,
}

/// What every handler sees.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: ServerParts,
    pub(crate) settings: Settings,
    pub(crate) record: View<Record>,
    pub(crate) recorder: Recorder,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) counters: Counters,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) receiving: Arc<Semaphore>,
    pub(crate) whole_reads: Semaphore,
    pub(crate) queries: Arc<Semaphore>,
    pub(crate) engine: Engine,
    costs: Mutex<KeptCosts>,
    pub(crate) closing: CancellationToken,
    pub(crate) started: crate::dto::Time,
    token_hash: [u8; 32],
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// How long the cost of the files is not asked again for the home page.
const COSTS_KEPT: SignedDuration = SignedDuration::from_secs(60);
/// Events the pages may be behind the ledger and still be worth reading.
const BEHIND_MAX: Seq = 1000;

impl App {
    /// Whether the pages show a ledger of this size, but for what came just now.
    pub(crate) fn has_read(&self, size: Seq) -> bool {
        size.saturating_sub(self.record.seen()) <= BEHIND_MAX
    }

    pub(crate) fn new(parts: ServerParts, settings: Settings, subscriptions: Subscriptions) -> Self {
        let ids = Arc::new(lem_ledger::RandomIds);
        let recorder = Recorder::with(Arc::clone(&parts.log), "/lem/server", Arc::clone(&parts.clock), ids);
        Self(Arc::new(Inner {
            record: View::start(Arc::clone(&parts.log)),
            recorder,
            subscriptions,
            counters: Counters::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            receiving: Arc::new(Semaphore::new(RECEIVING_MAX)),
            whole_reads: Semaphore::new(WHOLE_READS_MAX),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            engine: Engine::default(),
            costs: Mutex::default(),
            closing: CancellationToken::new(),
            started: parts.clock.now().into(),
            token_hash: Sha256::digest(settings.token.as_bytes()).into(),
            parts,
            settings,
        }))
    }

    /// What the files cost, for pages that only mention it. Nobody waits: it is asked again beside them, at most once a
    /// minute, as that evaluates every file. What cannot be read is said on the stage's own page; here the last answer stands.
    pub(crate) fn costs(&self) -> Option<Costs> {
        let now = self.parts.clock.now();
        let mut kept = self.costs.lock();
        if let Some(surroundings) = &self.parts.surroundings
            && kept.asked.is_none_or(|at| now.duration_since(at) >= COSTS_KEPT)
        {
            kept.asked = Some(now);
            let (app, surroundings) = (self.clone(), Arc::clone(surroundings));
            tokio::spawn(async move {
                if let Ok(costs) = surroundings.costs().await {
                    app.costs.lock().answer = Some(costs);
                }
            });
        }
        kept.answer.clone()
    }

    /// Whether a token is ours. Digests are compared, whole, so that time tells nothing about the token.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let differs = given.iter().zip(self.token_hash).fold(0u8, |differs, (a, b)| differs | (a ^ b));
        std::hint::black_box(differs) == 0 && !self.settings.token.is_empty()
    }
}
