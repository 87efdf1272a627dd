//! What is where, for people: the state as a projection that the server and the command line read.

use crate::events::{SignalShare, VerdictReached, VersionWeight};
use crate::state::{Ended, EvidencePoint, Freeze, Placed, Rollout, State};
use jiff::Timestamp;
use lem_engine_judge::sequential::Combined;
use lem_model::fact::{ReleasePlanned, RolloutFinished};
use lem_model::port::Scope;
use lem_model::{DeploymentId, Digest, EnvironmentName, Event, ServiceName, Version};
use serde::Serialize;
use std::collections::BTreeMap;

/// The projection.
#[derive(Clone, Debug, Default)]
pub struct RolloutsView {
    state: State,
}

/// One service in one environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Service.
    pub service: ServiceName,
    /// Environment.
    pub environment: EnvironmentName,
    /// What runs.
    pub stable: Option<Placed>,
    /// Where a rollback would lead.
    pub rollback_to: Option<Placed>,
    /// Percent of the traffic by version.
    pub weights: Vec<VersionWeight>,
    /// Instances.
    pub instances: Vec<InstanceRow>,
    /// Rollout under way.
    pub rollout: Option<RolloutRow>,
    /// Deployments that wait, and what for.
    pub waiting: Vec<WaitingRow>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRow {
    /// Name.
    pub instance: String,
    /// Version.
    pub version: Version,
    /// Address.
    pub address: String,
    /// Process.
    pub pid: Option<u32>,
}

/// A deployment that waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingRow {
    /// Rollout it will be.
    pub deployment: DeploymentId,
    /// Version.
    pub version: Version,
    /// What it waits for.
    pub held: Option<String>,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Not begun.
    Planned,
    /// Moving.
    Progressing,
    /// Keeps its weight because something is missing.
    Held,
    /// Waits for a person.
    Paused,
    /// Traffic goes back.
    TurningBack,
    /// The new version took over.
    Promoted,
}

/// A rollout under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRow {
    /// What was planned.
    pub planned: ReleasePlanned,
    /// Since when.
    pub since: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// Steps done.
    pub step: usize,
    /// When the current step began.
    pub step_since: Timestamp,
    /// Why it does not move.
    pub why: Option<String>,
    /// The judge's evidence.
    pub evidence: Vec<EvidencePoint>,
    /// The combined e-values and their thresholds.
    pub combined: Option<Combined>,
    /// Each signal's part.
    pub shares: Vec<SignalShare>,
    /// The verdict.
    pub verdict: Option<VerdictReached>,
    /// Measurements of analyses.
    pub measured: Vec<MeasuredRow>,
    /// Requests of the new version counted so far.
    pub exposed_requests: u64,
    /// Bad ones among them.
    pub exposed_bad: u64,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredRow {
    /// Which analysis.
    pub run: String,
    /// Metric.
    pub metric: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// How it ended.
    pub phase: lem_engine_judge::condition::Phase,
    /// Answer.
    pub value: String,
}

/// An ended rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedRow {
    /// What was planned.
    pub planned: ReleasePlanned,
    /// How it ended.
    pub finished: RolloutFinished,
    /// When.
    pub at: Timestamp,
    /// The verdict.
    pub verdict: Option<VerdictReached>,
}

impl RolloutsView {
    /// Name of the projection.
    pub const NAME: &'static str = "rollouts";

    /// Folds one event.
    pub fn fold(&mut self, event: &Event) {
        self.state.apply(event);
    }

    /// The state itself.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is where.
    pub fn places(&self) -> Vec<Place> {
        self.state.lanes.keys().filter_map(|scope| self.place(scope)).collect()
    }

    /// One service in one environment.
    pub fn place(&self, scope: &Scope) -> Option<Place> {
        let lane = self.state.lanes.get(scope)?;
        let instances = lane.instances.iter().map(|(instance, (version, address, pid))| InstanceRow {
            instance: instance.clone(),
            version: version.clone(),
            address: address.clone(),
            pid: *pid,
        });
        let waiting = lane.pending.iter().map(|p| WaitingRow {
            deployment: p.request.deployment.clone(),
            version: p.request.version.clone(),
            held: p.held.clone(),
        });
        Some(Place {
            service: scope.service.clone(),
            environment: scope.environment.clone(),
            stable: lane.stable.clone(),
            rollback_to: lane.rollback_target().cloned(),
            weights: lane.weights.clone(),
            instances: instances.collect(),
            rollout: lane.rollout.as_ref().map(row),
            waiting: waiting.collect(),
        })
    }

    /// Ended rollouts of all places, newest first.
    pub fn history(&self) -> Vec<EndedRow> {
        let mut rows: Vec<EndedRow> = self.state.lanes.values().flat_map(|l| &l.ended).map(ended).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        rows
    }

    /// A rollout by its id: under way, or ended.
    pub fn rollout(&self, id: &DeploymentId) -> Option<Result<RolloutRow, Box<EndedRow>>> {
        let lanes = || self.state.lanes.values();
        let running = lanes().filter_map(|l| l.rollout.as_ref()).find(|r| r.planned.deployment == *id);
        if let Some(rollout) = running {
            return Some(Ok(row(rollout)));
        }
        lanes()
            .flat_map(|l| l.ended.iter().rev())
            .find(|e| e.planned.deployment == *id)
            .map(|e| Err(Box::new(ended(e))))
    }

    /// The record of an ended rollout in Markdown.
    pub fn record(&self, id: &DeploymentId) -> Option<String> {
        let mut ended = self.state.lanes.values().flat_map(|l| l.ended.iter().rev());
        ended.find(|e| e.planned.deployment == *id).map(crate::report::record)
    }

    /// Running freezes by scope.
    pub fn freezes(&self) -> &BTreeMap<String, Freeze> {
        &self.state.freezes
    }

    /// Digests that may not be deployed, and why.
    pub fn quarantined(&self) -> &BTreeMap<Digest, String> {
        &self.state.quarantined
    }
}

impl lem_ledger::Projection for RolloutsView {
    const NAME: &'static str = "rollouts";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        self.fold(event);
    }
}

fn ended(e: &Ended) -> EndedRow {
    EndedRow { planned: e.planned.clone(), finished: e.finished.clone(), at: e.at, verdict: e.verdict.clone() }
}

fn row(rollout: &Rollout) -> RolloutRow {
    let phase = if rollout.took_over {
        Phase::Promoted
    } else if rollout.is_turning_back() {
        Phase::TurningBack
    } else if rollout.started_at.is_none() {
        Phase::Planned
    } else if rollout.paused.is_some() {
        Phase::Paused
    } else if rollout.held.is_some() {
        Phase::Held
    } else {
        Phase::Progressing
    };
    let why = rollout.aborted.as_ref().map(|(why, _)| why).or(rollout.paused.as_ref()).or(rollout.held.as_ref());
    let measured = rollout.measured.iter().map(|m| MeasuredRow {
        run: m.run.clone(),
        metric: m.metric.clone(),
        at_ms: m.at_ms,
        phase: m.phase,
        value: m.value.clone(),
    });
    RolloutRow {
        planned: rollout.planned.clone(),
        since: rollout.started_at.unwrap_or(rollout.planned_at),
        phase,
        step: rollout.step,
        step_since: rollout.step_since(),
        why: why.cloned(),
        evidence: rollout.evidence.iter().cloned().collect(),
        combined: rollout.judge.as_ref().map(lem_engine_judge::sequential::Judge::combined),
        shares: rollout.shares(),
        verdict: rollout.verdict.clone(),
        measured: measured.collect(),
        exposed_requests: rollout.exposed.0,
        exposed_bad: rollout.exposed.1,
    }
}
