//! A ledger, a target, a router and a clock in memory.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lem_deploy::DeployError;
use lem_deploy::config::Config;
use lem_deploy::engine::{Caps, Observed, Router, Table, Target, VersionSpec};
use lem_deploy::events::*;
use lem_deploy::evidence::{Tallies, Tally};
use lem_deploy::execute::{Engine, EngineOptions, Ports};
use lem_deploy::journal::{Journal, READ_MAX};
use lem_deploy::plan::{Crash, Fault, Instance, Readiness, Routed};
use lem_deploy::state::{Lane, State};
use lem_model::port::{
    GateAnswer, GateWait, HealthSource, MetricQuery, MetricValue, PolicyGate, Scope, SourceError, Window,
};
use lem_model::{Clock, Digest, Event, Fact, NewEvent, Seq, Version};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;

/// A clock that is moved by hand.
pub(crate) struct HandClock(Mutex<Timestamp>);

impl HandClock {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-03-02T10:00:00Z".parse().unwrap())))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.0.lock();
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// A ledger that can be told to break after so many appends, as if the program were killed there.
pub(crate) struct MemoryJournal {
    pub(crate) events: Mutex<Vec<Event>>,
    clock: Arc<HandClock>,
    left: AtomicU64,
}

impl MemoryJournal {
    pub(crate) fn new(clock: Arc<HandClock>) -> Arc<Self> {
        Arc::new(Self { events: Mutex::default(), clock, left: AtomicU64::new(u64::MAX) })
    }

    /// From now on so many appends succeed.
    pub(crate) fn allow(&self, appends: u64) {
        self.left.store(appends, SeqCst);
    }

    pub(crate) fn push(&self, new: NewEvent) {
        let mut events = self.events.lock();
        let seq = events.len() as Seq;
        events.push(Event {
            seq,
            id: new.id,
            kind: new.kind,
            time_occurred: new.time_occurred,
            time_received: new.time_occurred,
            source: new.source,
            subject: new.subject,
            chain: new.chain,
            payload: new.payload,
        });
    }

    /// Somebody else says something.
    pub(crate) fn hear<F: Fact>(&self, fact: &F) {
        let id = format!("outside-{}", self.events.lock().len());
        self.push(NewEvent::of(fact, id, self.clock.now(), "/test").unwrap());
    }

    /// Short types in order.
    pub(crate) fn types(&self) -> Vec<String> {
        self.events.lock().iter().map(|e| e.kind.short().to_owned()).collect()
    }

    pub(crate) fn all<F: Fact>(&self) -> Vec<F> {
        self.events.lock().iter().filter_map(Event::read).collect()
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, event: NewEvent) -> Result<(), DeployError> {
        if self.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_err() {
            return Err(DeployError::Ledger(lem_ledger::LedgerError::Closed));
        }
        self.push(event);
        Ok(())
    }

    async fn read(&self, from: Seq) -> Result<Vec<Event>, DeployError> {
        let events = self.events.lock();
        Ok(events.iter().skip(from as usize).take(READ_MAX as usize).cloned().collect())
    }
}

/// Instances that are ready at once, never, or crash.
#[derive(Default)]
pub(crate) struct FakeTarget {
    pub(crate) instances: Mutex<Vec<(Scope, Instance)>>,
    pub(crate) never_ready: Mutex<Vec<Version>>,
    pub(crate) crashing: Mutex<Vec<Version>>,
    pub(crate) kept: Mutex<Vec<Digest>>,
    pub(crate) adopts: Mutex<bool>,
    /// Crashes are for want of something, seen at that time.
    pub(crate) lacking: Mutex<Option<Timestamp>>,
    ports: AtomicU64,
}

#[async_trait]
impl Target for FakeTarget {
    fn caps(&self) -> Caps {
        Caps { replicas: true, side_by_side: true, adopts: *self.adopts.lock() }
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, DeployError> {
        let instances: Vec<Instance> =
            self.instances.lock().iter().filter(|(at, _)| at == scope).map(|(_, i)| i.clone()).collect();
        let crashing = self.crashing.lock();
        let lacking = *self.lacking.lock();
        let crashed = instances.iter().filter(|i| crashing.contains(&i.version)).map(|i| {
            (
                i.version.clone(),
                Crash {
                    why: "exit 1".into(),
                    last_lines: vec!["no config".into()],
                    fault: lacking.map_or(Fault::Version, |_| Fault::Surroundings),
                    at: lacking.unwrap_or_default(),
                },
            )
        });
        Ok(Observed { crashed: crashed.collect(), instances, happened: vec![] })
    }

    async fn ensure(&self, spec: &VersionSpec, replicas: u32) -> Result<(), DeployError> {
        let version = &spec.placed.version;
        let mut instances = self.instances.lock();
        let mine = |(at, i): &(Scope, Instance)| *at == spec.scope && i.version == *version;
        while instances.iter().filter(|i| mine(i)).count() > replicas as usize {
            let at = instances.iter().position(mine).unwrap();
            instances.remove(at);
        }
        while instances.iter().filter(|i| mine(i)).count() < replicas as usize {
            let port = 10_000 + self.ports.fetch_add(1, SeqCst) as u16;
            let stuck = self.never_ready.lock().contains(version) || self.crashing.lock().contains(version);
            let readiness = if stuck { Readiness::Starting } else { Readiness::Ready };
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            instances.push((spec.scope.clone(), Instance { version: version.clone(), address, readiness }));
        }
        Ok(())
    }

    async fn retire(&self, scope: &Scope, version: &Version, _grace: Duration) -> Result<(), DeployError> {
        self.instances.lock().retain(|(at, i)| at != scope || i.version != *version);
        Ok(())
    }

    async fn forget(&self, keep: &[Digest]) -> Result<(), DeployError> {
        *self.kept.lock() = keep.to_vec();
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

/// A router that counts what the test makes it count.
#[derive(Default)]
pub(crate) struct FakeRouter {
    pub(crate) served: Mutex<BTreeMap<Scope, Routed>>,
    tallies: Mutex<BTreeMap<(Scope, Version), Tally>>,
    generation: AtomicU64,
    pub(crate) weights: Mutex<Vec<Vec<(String, u32)>>>,
}

impl FakeRouter {
    /// Sends requests by the table in service; each version fails its share.
    pub(crate) fn load(&self, scope: &Scope, requests: u64, fails: &dyn Fn(&str) -> f64) {
        let Some(routed) = self.served.lock().get(scope).cloned() else { return };
        for (version, _, weight) in &routed.versions {
            let n = requests * u64::from(*weight) / 100;
            let mut tallies = self.tallies.lock();
            let tally = tallies.entry((scope.clone(), version.clone())).or_default();
            tally.requests += n;
            tally.bad += (n as f64 * fails(version.as_str())).round() as u64;
        }
    }

    pub(crate) fn weight(&self, scope: &Scope, version: &str) -> u32 {
        let served = self.served.lock();
        let versions = served.get(scope).into_iter().flat_map(|r| &r.versions);
        versions.filter(|(v, ..)| v.as_str() == version).map(|(_, _, w)| *w).sum()
    }

    /// A killed program's router is gone with its counts.
    pub(crate) fn lose(&self) {
        self.served.lock().clear();
        self.tallies.lock().clear();
    }
}

#[async_trait]
impl Router for FakeRouter {
    async fn apply(&self, scope: &Scope, _release: &str, table: &Table) -> Result<Routed, DeployError> {
        let generation = self.generation.fetch_add(1, SeqCst) + 1;
        assert_eq!(table.versions.iter().map(|(.., w)| w).sum::<u32>(), 100, "weights are percent");
        assert!(table.versions.iter().all(|(_, at, _)| !at.is_empty()), "no version without an address");
        let routed = Routed { versions: table.versions.clone(), rules: table.rules.clone(), generation };
        self.served.lock().insert(scope.clone(), routed.clone());
        self.weights.lock().push(table.versions.iter().map(|(v, _, w)| (v.to_string(), *w)).collect());
        Ok(routed)
    }

    fn served(&self, scope: &Scope) -> Option<Routed> {
        self.served.lock().get(scope).cloned()
    }

    fn counts(&self, scope: &Scope, _slower_than: Option<Duration>) -> Tallies {
        let tallies = self.tallies.lock();
        tallies.iter().filter(|((at, _), _)| at == scope).map(|((_, v), t)| (v.clone(), *t)).collect()
    }

    async fn drain(&self, _scope: &Scope, _version: &Version, _grace: Duration) -> Result<u64, DeployError> {
        Ok(0)
    }
}

/// Ports whose answers the test sets.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) metric: Mutex<Option<f64>>,
    pub(crate) queries: Mutex<Vec<String>>,
    pub(crate) deny: Mutex<Option<String>>,
    pub(crate) waits: Mutex<Option<GateWait>>,
    pub(crate) asked: AtomicU64,
    pub(crate) lines: Mutex<BTreeMap<Version, u64>>,
}

#[async_trait]
impl MetricQuery for Answers {
    async fn query(&self, expr: &str, _at: Timestamp) -> Result<MetricValue, SourceError> {
        self.queries.lock().push(expr.to_owned());
        match *self.metric.lock() {
            Some(value) => Ok(MetricValue::Vector(vec![(BTreeMap::new(), value)])),
            None => Ok(MetricValue::Vector(vec![])),
        }
    }

    async fn query_range(
        &self,
        _expr: &str,
        _window: Window,
        _step_ms: u64,
    ) -> Result<Vec<lem_model::port::Series>, SourceError> {
        Ok(vec![])
    }
}

#[async_trait]
impl PolicyGate for Answers {
    async fn may_deploy(&self, _scope: &Scope, _digest: &Digest) -> Result<GateAnswer, SourceError> {
        Ok(self.deny.lock().clone().map_or(GateAnswer::Allow, GateAnswer::Deny))
    }

    async fn waits_for(&self, _scope: &Scope, _digest: &Digest) -> Result<Option<GateWait>, SourceError> {
        self.asked.fetch_add(1, SeqCst);
        Ok(self.waits.lock().clone())
    }
}

#[async_trait]
impl HealthSource for Answers {
    async fn error_lines(&self, _scope: &Scope, version: &Version, _window: Window) -> Result<u64, SourceError> {
        Ok(self.lines.lock().get(version).copied().unwrap_or(0))
    }
}

/// Everything together; the engine can be killed and started again.
pub(crate) struct Stage {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) target: Arc<FakeTarget>,
    pub(crate) router: Arc<FakeRouter>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) ports: Ports,
    config: Arc<Config>,
    engine: Engine,
    restarts: u64,
}

/// A `lem.yaml` section and a strategy in a directory of their own.
pub(crate) fn config(strategy: &str, section: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rollout.yaml"), strategy).unwrap();
    let (node, found) = lem_engine_yaml::parse_one(section, "lem.yaml", lem_engine_yaml::Options::default());
    assert!(found.is_empty(), "{found:?}");
    let (config, found) = lem_deploy::config::read(dir.path(), "lem.yaml", &node.unwrap());
    assert!(!found.iter().any(lem_model::Diagnostic::is_error), "{found:#?}");
    config
}

pub(crate) const ONE_PLACE: &str = "
shop:
  strategy: rollout.yaml
  environments:
  - {name: production, listen: '127.0.0.1:0', target: {process: {command: [./shop]}}}
";

pub(crate) const CANARY: &str = "
strategy:
  canary:
    steps:
    - setWeight: 10
    - pause: {duration: 30s}
    - setWeight: 50
    - pause: {duration: 30s}
";

pub(crate) fn scope() -> Scope {
    Scope { service: "shop".into(), environment: "production".into() }
}

/// Which ports are wired.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wired {
    None,
    All,
}

impl Stage {
    pub(crate) fn new(strategy: &str, section: &str, wired: Wired) -> Self {
        let clock = HandClock::start();
        let journal = MemoryJournal::new(clock.clone());
        let answers = Arc::new(Answers::default());
        let ports = match wired {
            Wired::None => Ports::default(),
            Wired::All => {
                Ports { metrics: Some(answers.clone()), health: Some(answers.clone()), gate: Some(answers.clone()) }
            }
        };
        let config = Arc::new(config(strategy, section));
        let (target, router) = (Arc::new(FakeTarget::default()), Arc::new(FakeRouter::default()));
        let engine = engine(&config, &journal, &clock, &target, &router, &ports, 0);
        Self { clock, journal, target, router, answers, ports, config, engine, restarts: 0 }
    }

    pub(crate) fn canary() -> Self {
        Self::new(CANARY, ONE_PLACE, Wired::None)
    }

    /// Kills the engine and starts another one on the same ledger; its router is gone, its children live on or not.
    pub(crate) fn restart(&mut self, lose_children: bool) {
        self.restarts += 1;
        self.journal.allow(u64::MAX);
        self.router.lose();
        if lose_children {
            self.target.instances.lock().clear();
        }
        self.engine =
            engine(&self.config, &self.journal, &self.clock, &self.target, &self.router, &self.ports, self.restarts);
    }

    /// One look, with time for what was asked beside it.
    pub(crate) async fn tick(&mut self) -> Result<(), DeployError> {
        self.engine.tick().await?;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.engine.tick().await
    }

    /// So many seconds, a look each, with load of 200 requests a second.
    pub(crate) async fn run(&mut self, seconds: i64, fails: &dyn Fn(&str) -> f64) -> Result<(), DeployError> {
        for _ in 0..seconds {
            self.clock.advance(1);
            for (scope, ..) in self.places() {
                self.router.load(&scope, 200, fails);
            }
            self.tick().await?;
        }
        Ok(())
    }

    fn places(&self) -> Vec<(Scope, ())> {
        let services = self.config.services.iter();
        let places = services.flat_map(|s| s.environments.iter().map(|e| (s.name.clone(), e.name.clone())));
        places.map(|(service, environment)| (Scope { service, environment }, ())).collect()
    }

    /// A successful pipeline run with an artifact.
    pub(crate) fn build(&self, n: u8) {
        let sha = sha(n);
        self.journal.hear(&ChangeMerged {
            description: None,
            repository: None,
            sha: sha.as_str().into(),
            parent: (n > 1).then(|| self::sha(n - 1).into()),
            branch: "main".into(),
            author: "Ann <ann@example.org>".into(),
            message: format!("feat(cart): change number {n}"),
            committed_at: None,
            files: vec![],
            files_omitted: 0,
        });
        self.journal.hear(&ArtifactPackaged {
            change: Ref::to(sha.clone()),
            purl: format!("pkg:generic/shop@{sha}?checksum={}", digest(n)),
            name: "shop".into(),
            digest: digest(n),
            size_bytes: 1,
            run: format!("run{n}").into(),
            sha: sha.as_str().into(),
            branch: "main".into(),
        });
        self.journal.hear(&RunFinished {
            run: format!("run{n}").into(),
            pipeline_name: "ci".into(),
            uri: String::new(),
            outcome: Outcome::Success,
            errors: None,
            sha: sha.into(),
            branch: "main".into(),
            duration_ms: 1,
            queued_ms: 0,
        });
    }

    pub(crate) fn state(&self) -> &State {
        self.engine.state()
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.state().lanes[&scope()]
    }

    pub(crate) fn running(&self) -> Option<String> {
        self.lane().stable.as_ref().map(|s| s.version.to_string())
    }

    /// The id of the rollout under way, or of the last one.
    pub(crate) fn deployment(&self) -> lem_model::DeploymentId {
        let lane = self.lane();
        let running = lane.rollout.as_ref().map(|r| r.planned.deployment.clone());
        running.or_else(|| lane.ended.last().map(|e| e.planned.deployment.clone())).unwrap()
    }

    pub(crate) fn outcomes(&self) -> Vec<(String, RolloutOutcome)> {
        self.journal.all::<RolloutFinished>().into_iter().map(|f| (f.version.to_string(), f.outcome)).collect()
    }

    /// Two versions: the first is out, the second is on its way.
    pub(crate) async fn second(&mut self) {
        self.build(1);
        self.run(3, &good).await.unwrap();
        assert_eq!(self.running().as_deref(), Some("11111111"));
        self.build(2);
        self.run(1, &good).await.unwrap();
        assert!(self.lane().rollout.is_some() || self.outcomes().len() == 2);
    }
}

fn engine(
    config: &Arc<Config>,
    journal: &Arc<MemoryJournal>,
    clock: &Arc<HandClock>,
    target: &Arc<FakeTarget>,
    router: &Arc<FakeRouter>,
    ports: &Ports,
    life: u64,
) -> Engine {
    let mut n = 0;
    Engine::new(EngineOptions {
        config: config.clone(),
        branch: Some("main".into()),
        journal: journal.clone(),
        clock: clock.clone(),
        ids: Box::new(move || {
            n += 1;
            format!("{life}-{n}")
        }),
        target: target.clone(),
        router: router.clone(),
        ports: ports.clone(),
        interval: Duration::from_secs(1),
    })
}

pub(crate) fn sha(n: u8) -> String {
    n.to_string().repeat(40)
}

pub(crate) fn digest(n: u8) -> Digest {
    format!("sha256:{}", n.to_string().repeat(64)).into()
}

/// Half a percent fails, whatever the version.
pub(crate) fn good(_version: &str) -> f64 {
    0.005
}

/// The second version fails ten times as often.
pub(crate) fn second_bad(version: &str) -> f64 {
    if version == "22222222" { 0.05 } else { 0.005 }
}
