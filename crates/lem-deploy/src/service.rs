//! The stage as a service: built from options, served until it is told to stop.

use crate::DeployError;
use crate::config::Config;
use crate::engine::embedded::{EmbeddedRouter, RouterMetrics};
use crate::engine::process::{HealthChecks, ProcessOptions, ProcessTarget};
use crate::engine::{Router, Target};
use crate::execute::{Engine, EngineOptions, Ports};
use crate::journal::LedgerJournal;
use lem_ledger::EventLog;
use lem_model::Clock;
use lem_model::port::{
    ArtifactSource, Exposition, HealthSource, LogSink, MetricQuery, PolicyGate, Scope, SecretSource,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Time to wait after a look that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Time children get to end when the stage stops.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What the stage is built from.
pub struct Options {
    /// Services.
    pub config: Config,
    /// Watched branch; every branch when absent.
    pub branch: Option<String>,
    /// Ledger.
    pub log: Arc<dyn EventLog>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Directory for unpacked versions and notes about children: `.lem/deploy`.
    pub data: PathBuf,
    /// Where artifacts come from.
    pub artifacts: Arc<dyn ArtifactSource>,
    /// Where lines of children go.
    pub logs: Option<Arc<dyn LogSink>>,
    /// Metrics for analyses; without it every measurement is an error.
    pub metrics: Option<Arc<dyn MetricQuery>>,
    /// Error lines for the judge; without it the judge counts responses alone.
    pub health: Option<Arc<dyn HealthSource>>,
    /// Policy; without it everything is allowed.
    pub gate: Option<Arc<dyn PolicyGate>>,
    /// Secrets of services; without it a service that names one does not start.
    pub secrets: Option<Arc<dyn SecretSource>>,
    /// Length of an interval of evidence where `judge.interval` does not say; 10 seconds unless there is a reason.
    pub interval: Duration,
    /// Health checks of the process target.
    pub checks: HealthChecks,
}

impl Options {
    /// Options with defaults for all that has one.
    pub fn new(
        config: Config,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        data: PathBuf,
        artifacts: Arc<dyn ArtifactSource>,
    ) -> Self {
        Self {
            config,
            branch: None,
            log,
            clock,
            data,
            artifacts,
            logs: None,
            metrics: None,
            health: None,
            gate: None,
            secrets: None,
            interval: Duration::from_secs(10),
            checks: HealthChecks::default(),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("data", &self.data).field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// The stage.
#[derive(Debug)]
pub struct DeployService {
    engine: Engine,
    target: Arc<ProcessTarget>,
    router: Arc<EmbeddedRouter>,
    metrics: Arc<RouterMetrics>,
}

impl DeployService {
    /// Listens for every environment, ends what an earlier life left running, and is ready to serve.
    pub async fn new(options: Options) -> Result<Self, DeployError> {
        let config = Arc::new(options.config);
        let places: Vec<(Scope, SocketAddr)> = places(&config);
        let router = EmbeddedRouter::start(&places)?;
        let processes = config.services.iter().flat_map(|service| {
            service.environments.iter().map(|environment| {
                let scope = Scope { service: service.name.clone(), environment: environment.name.clone() };
                (scope, environment.process.clone())
            })
        });
        let target = ProcessTarget::start(ProcessOptions {
            root: options.data,
            processes: processes.collect(),
            artifacts: options.artifacts,
            logs: options.logs,
            secrets: options.secrets,
            clock: options.clock.clone(),
            checks: options.checks,
        })
        .await?;
        let engine = Engine::new(EngineOptions {
            config,
            branch: options.branch,
            journal: Arc::new(LedgerJournal(options.log)),
            clock: options.clock,
            ids: Box::new(|| uuid::Uuid::now_v7().to_string()),
            target: target.clone() as Arc<dyn Target>,
            router: router.clone() as Arc<dyn Router>,
            ports: Ports { metrics: options.metrics, health: options.health, gate: options.gate },
            interval: options.interval,
        });
        let metrics = Arc::new(RouterMetrics(router.clone()));
        Ok(Self { engine, target, router, metrics })
    }

    /// Metrics of the routers, for whoever scrapes.
    pub fn exposition(&self) -> Arc<dyn Exposition> {
        self.metrics.clone()
    }

    /// Where a service is served.
    pub fn address(&self, scope: &Scope) -> Option<SocketAddr> {
        self.router.address(scope)
    }

    /// Works until told to stop; then lets requests end and ends all children. While the ledger cannot be written
    /// nothing new is done and the routers go on serving their last tables.
    pub async fn serve(mut self, cancel: CancellationToken) {
        let mut changes = self.target.changes();
        while !cancel.is_cancelled() {
            let pause = match self.engine.tick().await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "deploy waits");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                _ = changes.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        drop(self.engine);
        drop(self.metrics);
        self.router.stop().await;
        self.target.stop(STOP_GRACE).await;
    }
}

fn places(config: &Config) -> Vec<(Scope, SocketAddr)> {
    let of = |service: &crate::config::Service| {
        let name = service.name.clone();
        let scoped = service.environments.iter().map(move |environment| {
            (Scope { service: name.clone(), environment: environment.name.clone() }, environment.listen)
        });
        scoped.collect::<Vec<_>>()
    };
    config.services.iter().flat_map(of).collect()
}
