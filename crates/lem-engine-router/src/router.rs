//! Starting, stopping and steering a router.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::drain::{self, Drained, Tunnel};
use crate::headers::Forwarded;
use crate::observe::{self, AccessLog, AccessRecord, AppCounts, VersionCounts};
use crate::plan::{self, Generation, PlanError, RoutePlan};
use crate::table::{AppState, AppTable, Table};
use crate::{limits, server};

/// Time for the workers to notice that their connections were cut.
const CUT_TIMEOUT: Duration = Duration::from_secs(2);

/// How a router runs.
#[derive(Debug, Clone)]
pub struct RouterOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where requests are served.
    pub workers: Workers,
    /// Whether forwarding headers of clients are believed.
    pub forwarded: Forwarded,
    /// Takes a record per request; records that find it full are counted and dropped.
    pub access_log: Option<mpsc::Sender<AccessRecord>>,
    /// Client connections open at once.
    pub connections_max: usize,
    /// Time for a request head, and for an idle connection.
    pub head_timeout: Duration,
}

impl RouterOptions {
    /// One worker thread, default limits.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            workers: Workers::Threads(NonZeroUsize::MIN),
            forwarded: Forwarded::Replace,
            access_log: None,
            connections_max: limits::CONNECTIONS_MAX,
            head_timeout: limits::HEAD_TIMEOUT,
        }
    }
}

/// Where requests are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Tasks of the caller's runtime.
    Caller,
    /// Threads of the router, each with a runtime of its own: least work per request, and neither
    /// side can hold up the other.
    Threads(NonZeroUsize),
}

/// Why a router did not start or an order was refused.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    #[error("cannot listen on {addr}: the port is taken")]
    PortTaken { addr: SocketAddr },
    #[error("cannot listen on {addr}")]
    Listen {
        addr: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
    #[error("a router is started inside a tokio runtime, and there is none")]
    NoRuntime,
    #[error("no app is called {0}")]
    UnknownApp(String),
    #[error("a plan gave version {version} of app {app} traffic again while it was draining")]
    DrainEnded { app: String, version: String },
    #[error("app {app} has no version {version}")]
    UnknownVersion { app: String, version: String },
}

/// The embedded L7 router.
#[derive(Debug)]
pub struct Router;

/// What workers, connections and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: ArcSwap<Table>,
    apps: Mutex<BTreeMap<String, Arc<AppState>>>,
    started: Instant,
    workers: usize,
    pub(crate) forwarded: Forwarded,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) connections_max: usize,
    pub(crate) head_timeout: Duration,
    pub(crate) connections: TaskTracker,
    pub(crate) unrouted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) stopping: AtomicBool,
    pub(crate) stop: CancellationToken,
    pub(crate) kill: CancellationToken,
}

impl Shared {
    /// Milliseconds since the router started.
    pub(crate) fn clock_ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_millis() as u64
    }

    pub(crate) fn sweep(&self, now: Instant) {
        for app in &self.table.load().apps {
            for route in &app.routes {
                route.endpoints.iter().for_each(|endpoint| endpoint.sweep(now));
            }
        }
    }
}

impl Router {
    /// Listens and serves; every request gets 404 until an app has a plan.
    pub fn start(options: RouterOptions) -> Result<RouterHandle, RouterError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| RouterError::NoRuntime)?;
        let addr = options.listen;
        let listener = server::bind(addr).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => RouterError::PortTaken { addr },
            _ => RouterError::Listen { addr, source },
        })?;
        let addr = listener.local_addr().map_err(|source| RouterError::Listen { addr, source })?;
        let workers = match options.workers {
            Workers::Caller => 1,
            Workers::Threads(n) => n.get(),
        };
        let shared = Arc::new(Shared {
            table: ArcSwap::default(),
            apps: Mutex::default(),
            started: Instant::now(),
            workers,
            forwarded: options.forwarded,
            access_log: options.access_log.map(|sink| Arc::new(AccessLog { sink, dropped: AtomicU64::new(0) })),
            connections_max: options.connections_max,
            head_timeout: options.head_timeout,
            connections: TaskTracker::new(),
            unrouted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
        });
        let mut handle = RouterHandle { shared, addr, done: Vec::new() };
        for worker in 0..workers {
            let listener = listener.try_clone().map_err(RouterError::Worker)?;
            let (tell, done) = oneshot::channel();
            handle.done.push(done);
            let shared = handle.shared.clone();
            match options.workers {
                Workers::Caller => drop(runtime.spawn(run(shared, listener, worker, tell))),
                Workers::Threads(_) => start_thread(shared, listener, worker, tell).map_err(RouterError::Worker)?,
            }
        }
        Ok(handle)
    }
}

async fn run(shared: Arc<Shared>, listener: std::net::TcpListener, worker: usize, done: oneshot::Sender<()>) {
    if let Err(error) = server::work(shared, listener, worker).await {
        tracing::error!(%error, worker, "router worker cannot use its listener");
    }
    _ = done.send(()); // nobody may be waiting
}

fn start_thread(
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    worker: usize,
    done: oneshot::Sender<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name(format!("lem-router-{worker}"))
        .spawn(move || runtime.block_on(run(shared, listener, worker, done)))
        .map(drop)
}

/// Steers a running router. Dropping it stops the router at once; [`RouterHandle::stop`] does it gently.
#[derive(Debug)]
pub struct RouterHandle {
    shared: Arc<Shared>,
    addr: SocketAddr,
    done: Vec<oneshot::Receiver<()>>,
}

impl RouterHandle {
    /// Where the router listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Puts a plan into service: all of it or, when it is refused, nothing.
    pub fn apply(&self, app: &str, plan: RoutePlan) -> Result<Generation, PlanError> {
        plan::check(&plan)?;
        let mut apps = self.shared.apps.lock();
        let now = self.shared.table.load();
        if !apps.contains_key(app) && apps.len() >= limits::APPS_MAX {
            return Err(PlanError::TooMany { what: "apps", count: apps.len() + 1, max: limits::APPS_MAX });
        }
        let same = |other: &&Arc<AppTable>| {
            &*other.state.name != app && other.plan.hosts == plan.hosts && other.plan.path_prefix == plan.path_prefix
        };
        if let Some(other) = now.apps.iter().find(same) {
            return Err(PlanError::SameRoute(other.state.name.to_string()));
        }
        let state = apps.entry(app.to_owned()).or_insert_with(|| Arc::new(AppState::new(app)));
        let compiled = Arc::new(AppTable::compile(state, plan, self.shared.workers));
        let generation = compiled.generation;
        self.shared.table.store(Arc::new(now.with(app, Some(compiled))));
        Ok(generation)
    }

    /// The plan in service and its generation.
    pub fn plan(&self, app: &str) -> Option<(Generation, RoutePlan)> {
        let table = self.shared.table.load();
        let found = table.apps.iter().find(|known| &*known.state.name == app)?;
        Some((found.generation, found.plan.clone()))
    }

    /// Takes an app out of service; its requests get 404 and its counts are gone.
    pub fn remove(&self, app: &str) -> Result<(), RouterError> {
        let mut apps = self.shared.apps.lock();
        let state = apps.remove(app).ok_or_else(|| RouterError::UnknownApp(app.to_owned()))?;
        // Versions know their app; this ends the circle.
        state.registry.lock().versions.clear();
        let now = self.shared.table.load();
        self.shared.table.store(Arc::new(now.with(app, None)));
        Ok(())
    }

    /// Cumulative counts of every version the app has had, in order of appearance.
    pub fn counts(&self, app: &str) -> Result<Vec<VersionCounts>, RouterError> {
        Ok(counts(&*self.state(app)?))
    }

    /// Sends nothing new to a version, waits for what is under way, and reports. Without another version
    /// to take over, new requests get 503. A plan that gives the version weight or a rule ends the drain,
    /// which then fails with [`RouterError::DrainEnded`].
    pub async fn drain(&self, app: &str, version: &str, grace: Duration) -> Result<Drained, RouterError> {
        let state = self.state(app)?;
        let known = state.registry.lock().versions.iter().find(|v| &*v.id == version).cloned();
        let version =
            known.ok_or_else(|| RouterError::UnknownVersion { app: app.to_owned(), version: version.to_owned() })?;
        drain::drain(&version, grace)
            .await
            .ok_or_else(|| RouterError::DrainEnded { app: app.to_owned(), version: version.id.to_string() })
    }

    /// The open tunnels of an app by version.
    pub fn tunnels(&self, app: &str) -> Result<Vec<(String, Vec<Tunnel>)>, RouterError> {
        let state = self.state(app)?;
        let registry = state.registry.lock();
        Ok(registry.versions.iter().map(|v| (v.id.to_string(), v.tunnels.list())).collect())
    }

    /// All counters in Prometheus text format 0.0.4.
    pub fn exposition(&self) -> String {
        let apps: Vec<Arc<AppState>> = self.shared.apps.lock().values().cloned().collect();
        let apps: Vec<AppCounts> = apps
            .iter()
            .map(|state| AppCounts {
                app: state.name.clone(),
                versions: counts(state),
                unhealthy: state.unhealthy.load(Relaxed),
                mirrored: state.mirror.answered.load(Relaxed),
                mirror_failed: state.mirror.failed.load(Relaxed),
                mirror_dropped: state.mirror.dropped.load(Relaxed),
            })
            .collect();
        let shared = &self.shared;
        let log_dropped = shared.access_log.as_ref().map_or(0, |log| log.dropped.load(Relaxed));
        let router = [
            ("lem_router_connections", "gauge", shared.connections.len() as u64),
            ("lem_router_connections_refused_total", "counter", shared.turned_away.load(Relaxed)),
            ("lem_router_unrouted_total", "counter", shared.unrouted.load(Relaxed)),
            ("lem_router_malformed_total", "counter", shared.refused.load(Relaxed)),
            ("lem_router_access_log_dropped_total", "counter", log_dropped),
        ];
        observe::exposition(&apps, &router)
    }

    /// Stops listening, lets requests finish within the grace, cuts the rest. Returns the connections cut.
    pub async fn stop(mut self, grace: Duration) -> usize {
        let shared = self.shared.clone();
        shared.stopping.store(true, Relaxed);
        shared.stop.cancel();
        let workers = futures::future::join_all(std::mem::take(&mut self.done));
        let mut workers = std::pin::pin!(workers);
        if tokio::time::timeout(grace, workers.as_mut()).await.is_ok() {
            return 0;
        }
        let cut = shared.connections.len();
        shared.kill.cancel();
        if tokio::time::timeout(CUT_TIMEOUT, workers).await.is_err() {
            tracing::warn!("router workers did not end");
        }
        cut
    }

    fn state(&self, app: &str) -> Result<Arc<AppState>, RouterError> {
        let apps = self.shared.apps.lock();
        apps.get(app).cloned().ok_or_else(|| RouterError::UnknownApp(app.to_owned()))
    }
}

impl Drop for RouterHandle {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Relaxed);
        self.shared.stop.cancel();
        self.shared.kill.cancel();
    }
}

fn counts(state: &AppState) -> Vec<VersionCounts> {
    let registry = state.registry.lock();
    registry
        .versions
        .iter()
        .map(|version| version.stats.snapshot(&version.id, version.in_flight.load(Relaxed)))
        .collect()
}
