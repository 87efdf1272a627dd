//! Does what the plan says. One engine owns all places of one ledger; between two looks it holds nothing that matters.

mod answers;
mod counting;

use crate::DeployError;
use crate::config::{Config, Environment, JudgeKind, Service};
use crate::engine::{Happening, Router, Table, Target, VersionSpec};
use crate::events::{InstanceExited, InstanceStarted, SOURCE, Said};
use crate::journal::Journal;
use crate::plan::{self, Deed, Scene, Wanted, World};
use crate::report;
use crate::state::{Lane, Placed, State};
use answers::Answer;
use counting::Counting;
use lem_model::port::{HealthSource, MetricQuery, PolicyGate, Scope};
use lem_model::{Clock, Digest, Seq, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Decisions about one place before the others get their turn.
const ROUNDS_MAX: usize = 200;
/// Answers that may wait to be looked at.
const ANSWERS_MAX: usize = 1000;

/// Who is asked.
#[derive(Clone, Default)]
pub struct Ports {
    /// Metrics for analyses.
    pub metrics: Option<Arc<dyn MetricQuery>>,
    /// Error lines for the judge.
    pub health: Option<Arc<dyn HealthSource>>,
    /// Policy.
    pub gate: Option<Arc<dyn PolicyGate>>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports")
            .field("metrics", &self.metrics.is_some())
            .field("health", &self.health.is_some())
            .field("gate", &self.gate.is_some())
            .finish()
    }
}

/// What an engine is built from.
pub struct EngineOptions {
    /// Services.
    pub config: Arc<Config>,
    /// Watched branch; every branch when absent.
    pub branch: Option<String>,
    /// Ledger.
    pub journal: Arc<dyn Journal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of events.
    pub ids: Box<dyn FnMut() -> String + Send>,
    /// Places versions.
    pub target: Arc<dyn Target>,
    /// Routes traffic.
    pub router: Arc<dyn Router>,
    /// Who is asked.
    pub ports: Ports,
    /// Length of an interval of evidence.
    pub interval: Duration,
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions").field("branch", &self.branch).finish_non_exhaustive()
    }
}

/// What the engine holds about one place between two looks; all of it can be lost.
#[derive(Default)]
struct Place {
    world: World,
    counting: Counting,
    asked: BTreeSet<String>,
    retiring: BTreeMap<Version, AbortHandle>,
}

/// The engine.
pub struct Engine {
    options: EngineOptions,
    state: State,
    next: Seq,
    /// What an earlier life left was looked through.
    looked_back: bool,
    places: BTreeMap<Scope, Place>,
    order: Vec<(Scope, usize, usize, Digest)>,
    answers: (mpsc::Sender<Answer>, mpsc::Receiver<Answer>),
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that has read nothing yet.
    pub fn new(options: EngineOptions) -> Self {
        let mut order = vec![];
        for (s, service) in options.config.services.iter().enumerate() {
            for (e, environment) in service.environments.iter().enumerate() {
                let scope = Scope { service: service.name.clone(), environment: environment.name.clone() };
                order.push((scope, s, e, config_digest(environment)));
            }
        }
        let places = order.iter().map(|(scope, ..)| (scope.clone(), Place::default())).collect();
        Self {
            options,
            state: State::default(),
            next: 0,
            looked_back: false,
            places,
            order,
            answers: mpsc::channel(ANSWERS_MAX),
        }
    }

    /// What the ledger says, as far as it was read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Reads on, decides and acts until nothing more is to be done now.
    pub async fn tick(&mut self) -> Result<(), DeployError> {
        self.catch_up().await?;
        self.look_back().await?;
        while let Ok(answer) = self.answers.1.try_recv() {
            self.take(answer);
        }
        loop {
            let said = plan::decide_global(&self.state, self.options.clock.now());
            if said.is_empty() {
                break;
            }
            for said in said {
                self.say(said).await?;
            }
        }
        for at in 0..self.order.len() {
            self.place(at).await?;
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<(), DeployError> {
        loop {
            let events = self.options.journal.read(self.next).await?;
            let Some(last) = events.last() else { return Ok(()) };
            self.next = last.seq + 1;
            for event in &events {
                self.state.apply(event);
            }
        }
    }

    /// Instances of an earlier life that the target does not adopt are gone, and nobody was there to say so.
    async fn look_back(&mut self) -> Result<(), DeployError> {
        if self.looked_back || self.options.target.caps().adopts {
            return Ok(());
        }
        let gone = |scope: &Scope, instance: &String, version: &Version| InstanceExited {
            instance: instance.clone(),
            service: scope.service.clone(),
            environment: scope.environment.clone(),
            version: version.clone(),
            status: "ended with the program that ran it".to_owned(),
            expected: true,
            last_lines: vec![],
        };
        let all = self.state.lanes.iter().flat_map(|(scope, lane)| lane.instances.iter().map(move |i| (scope, i)));
        let all: Vec<InstanceExited> =
            all.map(|(scope, (instance, (version, ..)))| gone(scope, instance, version)).collect();
        for exited in all {
            self.say(exited.into()).await?;
        }
        self.looked_back = true;
        Ok(())
    }

    async fn say(&mut self, said: Said) -> Result<(), DeployError> {
        let event = said.event((self.options.ids)(), self.options.clock.now())?;
        debug_assert_eq!(event.source, SOURCE);
        self.options.journal.append(event).await?;
        self.catch_up().await
    }

    async fn place(&mut self, at: usize) -> Result<(), DeployError> {
        for _ in 0..ROUNDS_MAX {
            self.observe(at).await?;
            let (decision, wanted) = self.with_scene(at, |scene| (plan::decide(scene), plan::desired(scene)));
            let ended = decision.say.iter().any(|s| matches!(s, Said::RolloutFinished(_)));
            if !decision.say.is_empty() {
                for said in decision.say {
                    self.forget_said(at, &said);
                    self.say(said).await?;
                }
                if ended {
                    self.ended(at).await?;
                }
                continue;
            }
            self.keep_wanted(at, &wanted.instances);
            let mut acted = false;
            for deed in decision.deeds {
                acted |= self.act(at, deed).await?;
            }
            if !acted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What was said leaves the world: it comes back through the ledger.
    fn forget_said(&mut self, at: usize, said: &Said) {
        let Some(place) = self.places.get_mut(&self.order[at].0) else { return };
        match said {
            Said::EvidenceRecorded(_) => place.world.interval = None,
            Said::AnalysisMeasured(fact) => {
                place.world.measured.retain(|m| m.run != fact.run || m.metric != fact.metric);
                place.asked.remove(&answers::metric_key(&fact.run, &fact.metric));
            }
            Said::ReleasePlanned(_) => {
                // Nothing of an earlier rollout may be taken for this one's.
                (place.world.notes, place.world.history, place.world.exposed) = (None, None, (0, 0));
                (place.world.interval, place.world.measured) = (None, vec![]);
                place.asked.clear();
                place.world.gate_waits.clear();
            }
            // What was refused is asked for anew when somebody wants it again.
            Said::DeployRefused(_) => place.world.gate.clear(),
            Said::ReleaseNotesPublished(_) => place.world.notes = None,
            _ => {}
        }
    }

    /// Unpacked versions that nothing can lead to any more go away.
    async fn ended(&mut self, at: usize) -> Result<(), DeployError> {
        if let Some(place) = self.places.get_mut(&self.order[at].0) {
            place.world.gate.clear();
        }
        let keep = self.order.iter().flat_map(|(scope, service, ..)| {
            let keep = self.options.config.services[*service].keep;
            let lane = self.state.lanes.get(scope);
            lane.map(|lane| kept(lane, keep, &self.places[scope].world)).unwrap_or_default()
        });
        let keep: Vec<Digest> = keep.collect();
        self.options.target.forget(&keep).await
    }

    fn with_scene<T>(&self, at: usize, look: impl FnOnce(&Scene<'_>) -> T) -> T {
        let (scope, service, environment, config) = &self.order[at];
        let empty = Lane::default();
        let service: &Service = &self.options.config.services[*service];
        let scene = Scene {
            scope,
            state: &self.state,
            lane: self.state.lanes.get(scope).unwrap_or(&empty),
            world: &self.places[scope].world,
            service,
            environment: &service.environments[*environment],
            branch: self.options.branch.as_deref(),
            config,
            now: self.options.clock.now(),
        };
        look(&scene)
    }

    async fn observe(&mut self, at: usize) -> Result<(), DeployError> {
        let scope = self.order[at].0.clone();
        let observed = self.options.target.observe(&scope).await?;
        let routed = self.options.router.served(&scope);
        let (slower_than, length) = (self.slower_than(at), self.interval(at));
        let tallies = self.options.router.counts(&scope, slower_than);
        let now = self.options.clock.now();
        let lane = self.state.lanes.get(&scope);
        let place = self.places.get_mut(&scope).expect("every place in the order has a place");
        (place.world.instances, place.world.crashed, place.world.routed) =
            (observed.instances, observed.crashed, routed);
        place.world.heard = self.next;
        place.world.sources = Some(crate::evidence::Sources {
            latency: slower_than.is_some(),
            logs: self.options.ports.health.is_some(),
        });
        place.retiring.retain(|_, task| !task.is_finished());
        place.counting.look(lane, &tallies, length, now);
        let rollout = lane.and_then(|l| l.rollout.as_ref());
        if let Some(rollout) = rollout {
            place.world.exposed = place.counting.exposed(&rollout.planned.version, &tallies);
        }
        let due = rollout.filter(|r| r.judge.is_some() && !r.is_turning_back() && place.world.interval.is_none());
        if let Some(rollout) = due
            && let Some(closed) = place.counting.close(rollout, &tallies, length, now)
        {
            let signals = rollout.judge.as_ref().map(|j| j.signals().to_vec()).unwrap_or_default();
            let interval = answers::with_lines(closed, &signals, &scope, self.options.ports.health.as_ref()).await;
            place.world.interval = Some(interval);
        }
        self.unready(at);
        for happening in observed.happened {
            self.say(happened(&scope, happening)).await?;
        }
        Ok(())
    }

    /// Length of an interval of evidence at a place.
    fn interval(&self, at: usize) -> Duration {
        match &self.options.config.services[self.order[at].1].judge {
            JudgeKind::Sequential { interval: Some(interval), .. } => *interval,
            _ => self.options.interval,
        }
    }

    fn slower_than(&self, at: usize) -> Option<Duration> {
        match &self.options.config.services[self.order[at].1].judge {
            JudgeKind::Sequential { slower_than, .. } => *slower_than,
            JudgeKind::Conditions => None,
        }
    }

    /// Since when versions have fewer ready instances than wanted.
    fn unready(&mut self, at: usize) {
        let now = self.options.clock.now();
        let missing: BTreeSet<Version> = self.with_scene(at, |scene| {
            let wanted = plan::desired(scene).instances.into_iter();
            wanted.filter(|w| scene.ready(&w.placed.version) < w.replicas).map(|w| w.placed.version).collect()
        });
        let place = self.places.get_mut(&self.order[at].0).expect("every place in the order has a place");
        place.world.unready_since.retain(|version, _| missing.contains(version));
        for version in missing {
            place.world.unready_since.entry(version).or_insert(now);
        }
    }

    /// A version that is wanted again must not be ended by an order from before.
    fn keep_wanted(&mut self, at: usize, wanted: &[Wanted]) {
        let Some(place) = self.places.get_mut(&self.order[at].0) else { return };
        for wanted in wanted.iter().filter(|w| w.replicas > 0) {
            if let Some(task) = place.retiring.remove(&wanted.placed.version) {
                task.abort();
            }
        }
    }

    /// Does one deed; true when the world may look different at once.
    async fn act(&mut self, at: usize, deed: Deed) -> Result<bool, DeployError> {
        let (scope, service, environment, config) = self.order[at].clone();
        let min_ready = Duration::from_millis(self.options.config.services[service].strategy.min_ready_ms);
        let grace = self.options.config.services[service].environments[environment].process.drain;
        match deed {
            Deed::Ensure(Wanted { placed, replicas }) => {
                let spec = VersionSpec { scope, placed, config, min_ready };
                self.options.target.ensure(&spec, replicas).await?;
                Ok(true)
            }
            Deed::Route { release, versions, rules } => {
                let table = Table { versions, rules };
                match self.options.router.apply(&scope, &release, &table).await {
                    Ok(_) => Ok(true),
                    Err(error) => {
                        // The last accepted table stays in service and nothing advances.
                        tracing::error!(%error, "the router refused a table");
                        Ok(false)
                    }
                }
            }
            Deed::Retire(version) => Ok(self.retire(&scope, version, grace)),
            Deed::Watch { deployment, canary, stable } => {
                let slower_than = self.slower_than(at);
                let tallies = self.options.router.counts(&scope, slower_than);
                let now = self.options.clock.now();
                let place = self.places.get_mut(&scope).expect("every place in the order has a place");
                place.counting.watch(&deployment, &canary, stable.as_ref(), &tallies, now);
                Ok(false)
            }
            Deed::WriteNotes(deployment) => {
                let planned = self.state.lanes.get(&scope).and_then(|l| l.rollout.as_ref()).map(|r| &r.planned);
                let notes = planned.filter(|p| p.deployment == deployment).map(|p| report::notes(&self.state, p));
                let place = self.places.get_mut(&scope).expect("every place in the order has a place");
                place.world.notes = notes;
                Ok(true)
            }
            question => Ok(self.ask(&scope, question)),
        }
    }

    /// Drains and ends a version beside everything else; twice is once.
    fn retire(&mut self, scope: &Scope, version: Version, grace: Duration) -> bool {
        let place = self.places.get_mut(scope).expect("every place in the order has a place");
        if place.retiring.contains_key(&version) {
            return false;
        }
        let (router, target) = (self.options.router.clone(), self.options.target.clone());
        let (scope, name) = (scope.clone(), version.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = router.drain(&scope, &name, grace).await {
                tracing::warn!(%error, version = %name, "a version could not be drained");
            }
            if let Err(error) = target.retire(&scope, &name, grace).await {
                tracing::warn!(%error, version = %name, "a version could not be ended");
            }
        });
        place.retiring.insert(version, task.abort_handle());
        false
    }
}

/// Digests a rollback or a running instance may need.
fn kept(lane: &Lane, keep: usize, world: &World) -> Vec<Digest> {
    let verified = lane.verified.iter().rev().take(keep + 1);
    let runs = |placed: &&Placed| world.instances.iter().any(|i| i.version == placed.version);
    let lingering = lane.lingering.iter().map(|l| &l.placed).filter(runs);
    let stable = lane.stable.iter();
    let running = lane.rollout.as_ref().map(|r| r.planned.digest.clone());
    let pending = lane.pending.iter().map(|p| p.request.digest.clone());
    verified.chain(lingering).chain(stable).map(|p| p.digest.clone()).chain(running).chain(pending).collect()
}

fn happened(scope: &Scope, happening: Happening) -> Said {
    let (service, environment) = (scope.service.clone(), scope.environment.clone());
    match happening {
        Happening::Started { instance, version, address, pid } => {
            InstanceStarted { instance, service, environment, version, address: address.to_string(), pid }.into()
        }
        Happening::Exited { instance, version, status, expected, last_lines } => {
            InstanceExited { instance, service, environment, version, status, expected, last_lines }.into()
        }
    }
}

/// Digest of what an environment says about how instances run.
fn config_digest(environment: &Environment) -> Digest {
    let process = &environment.process;
    let mut text = serde_json::json!({
        "command": process.command,
        "env": process.env,
        "health": process.health,
    });
    if !process.secrets.is_empty() {
        // Where the values are, never the values.
        text["secrets"] = serde_json::json!(process.secrets);
    }
    Digest::of(text.to_string().as_bytes())
}
