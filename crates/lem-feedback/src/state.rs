//! What feedback knows: a fold over the facts of all stages. Pure; the ledger replays it from zero.

use crate::events::*;
use jiff::Timestamp;
use lem_model::fact::{MigrationClass, RolloutOutcome, VerdictOutcome};
use lem_model::port::Scope;
use lem_model::{
    AlertId, AttributionId, CommitSha, DeploymentId, Digest, Event, IncidentId, Seq, ServiceName, Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// A release and what became of it.
#[derive(Clone, Debug)]
pub struct Release {
    /// As it was planned.
    pub plan: ReleasePlanned,
    /// When the plan was recorded.
    pub planned_at: Timestamp,
    /// When its rollout began.
    pub started_at: Option<Timestamp>,
    /// When its weight changed, and to what percentage.
    pub weights: Vec<(Timestamp, u32)>,
    /// What the judge said last.
    pub verdict: Option<(Timestamp, VerdictReached)>,
    /// What the judge counted.
    pub judged: Judged,
    /// How and when the rollout ended.
    pub finished: Option<(Timestamp, RolloutFinished)>,
    /// When it became the version that serves all traffic.
    pub promoted_at: Option<Timestamp>,
    /// When it was taken off again, and why.
    pub removed: Option<(Timestamp, String)>,
    /// Event that planned it.
    pub seq: Seq,
}

/// Requests and failures the judge counted on both versions of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Requests to the new version, and failed ones.
    pub canary: (u64, u64),
    /// The same for the version beside it.
    pub stable: (u64, u64),
}

/// Signal of the judge that counts failing requests.
const ERRORS: &str = "errors";

impl Judged {
    fn add(&mut self, evidence: &EvidenceRecorded) {
        for arm in evidence.counts.iter().filter(|c| c.signal == ERRORS) {
            self.canary = (self.canary.0 + arm.canary, self.canary.1 + arm.canary_bad);
            self.stable = (self.stable.0 + arm.stable, self.stable.1 + arm.stable_bad);
        }
    }
}

impl Release {
    /// Service and environment.
    pub fn scope(&self) -> Scope {
        Scope { service: self.plan.service.clone(), environment: self.plan.environment.clone() }
    }

    /// Whether it takes traffic at a time.
    pub fn serves_at(&self, at: Timestamp) -> bool {
        let weight = self.weights.iter().rev().find(|(t, _)| *t <= at).map_or(0, |(_, w)| *w);
        weight > 0
    }

    /// Whether its rollout is between start and end.
    pub fn in_flight(&self) -> bool {
        self.started_at.is_some() && self.finished.is_none()
    }
}

/// An apply of infrastructure that ended.
#[derive(Clone, Debug)]
pub struct Apply {
    /// When it ended.
    pub at: Timestamp,
    /// As it was recorded.
    pub fact: ApplyFinished,
    /// Event that says so.
    pub seq: Seq,
}

/// An instance that ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// When.
    pub at: Timestamp,
    /// As it was recorded.
    pub fact: InstanceExited,
}

/// Unexpected ends of instances that are remembered; the newest are kept.
pub const MAX_EXITS: usize = 500;

/// An incident and what was done about it.
#[derive(Clone, Debug)]
pub struct Incident {
    /// As it was detected.
    pub detected: IncidentDetected,
    /// When it was recorded.
    pub at: Timestamp,
    /// Alert that opened it, as it fired.
    pub alert: Option<AlertFired>,
    /// Latest attribution, with its status.
    pub attribution: Option<Attribution>,
    /// Earlier attributions that were rejected.
    pub rejected: Vec<Attribution>,
    /// Automatic actions taken; never more than one.
    pub actions: Vec<(Timestamp, ActionTaken)>,
    /// Actions refused, and why.
    pub refusals: Vec<(Timestamp, ActionRefused)>,
    /// When and how it was resolved.
    pub resolved: Option<(Timestamp, IncidentResolved)>,
    /// Event that raised the test that was missing.
    pub test_gap: Option<Seq>,
    /// Events that belong to it.
    pub events: Vec<Seq>,
}

impl Incident {
    /// Service and environment.
    pub fn scope(&self) -> Option<Scope> {
        let service = self.detected.service.as_ref()?;
        Some(Scope { service: service.id.as_str().into(), environment: self.detected.environment.id.as_str().into() })
    }
}

/// Where an attribution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Named, not yet proved.
    Proposed,
    /// Nothing recorded explains it.
    Abstained,
    /// Proved by the outcome or a person.
    Confirmed,
    /// Disproved by the outcome or a person.
    Rejected,
}

/// An attribution and its standing.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// As it was proposed; for an abstention the causes that were considered.
    pub proposed: AttributionProposed,
    /// Why nothing was named, for an abstention.
    pub abstained: Option<String>,
    /// Standing.
    pub standing: Standing,
    /// What settled it.
    pub settled: Option<String>,
    /// When it was proposed.
    pub at: Timestamp,
    /// Event that says so.
    pub seq: Seq,
}

impl Attribution {
    /// The named cause; `None` for an abstention.
    pub fn named(&self) -> Option<&lem_model::fact::RankedCause> {
        self.proposed.causes.first().filter(|_| self.standing != Standing::Abstained)
    }
}

/// Verdicts per kind of cause, for the prior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindHistory {
    /// How often this kind was named and settled.
    pub seen: u32,
    /// How often it was right.
    pub confirmed: u32,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct LoopState {
    /// Commits by sha.
    pub changes: BTreeMap<CommitSha, (Timestamp, ChangeMerged)>,
    /// Releases by rollout.
    pub releases: BTreeMap<DeploymentId, Release>,
    /// Applies of infrastructure.
    pub applies: BTreeMap<String, Apply>,
    /// Instances that ended unexpectedly, newest last.
    pub exits: Vec<Exit>,
    /// Incidents.
    pub incidents: BTreeMap<IncidentId, Incident>,
    /// Digests that may not be deployed.
    pub quarantined: BTreeSet<Digest>,
    /// Alerts that fire now.
    pub firing: BTreeMap<AlertId, (Timestamp, AlertFired)>,
    /// Own history per kind of cause.
    pub history: BTreeMap<String, KindHistory>,
    /// Rollbacks, newest last.
    pub rollbacks: Vec<(Timestamp, ServiceRolledBack)>,
    /// Last event folded.
    pub last: Option<Seq>,
    /// Attributions to incidents, for lookups by id.
    pub attributions: BTreeMap<AttributionId, IncidentId>,
}

impl LoopState {
    /// The release of a version that is planned last in a scope.
    pub fn release_of(&self, scope: &Scope, version: &Version) -> Option<&Release> {
        self.releases.values().filter(|r| r.scope() == *scope && r.plan.version == *version).max_by_key(|r| r.seq)
    }

    /// Releases of a scope, oldest first.
    pub fn releases_in<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Release> {
        let mut found: Vec<_> = self.releases.values().filter(|r| r.scope() == *scope).collect();
        found.sort_by_key(|r| r.seq);
        found.into_iter()
    }

    /// Automatic actions on a service since a time.
    pub fn actions_since(&self, service: &ServiceName, since: Timestamp) -> usize {
        let taken = self.incidents.values().flat_map(|i| &i.actions);
        taken.filter(|(at, a)| *at >= since && a.service == *service).count()
    }

    /// Folds one event.
    pub fn apply(&mut self, event: &Event) {
        self.last = Some(event.seq);
        let at = event.time_occurred;
        match event.kind.short() {
            "change.merged" => self.on(event, |s, f: ChangeMerged| drop(s.changes.insert(f.sha.clone(), (at, f)))),
            "release.planned" => self.on(event, |s, f| s.planned(at, event.seq, f)),
            "rollout.started" => self.on_release(event, |r, _: RolloutStarted| r.started_at = Some(at)),
            "routes.applied" => self.on(event, |s, f| s.routed(at, &f)),
            "verdict.reached" => self.on_release(event, |r, f| r.verdict = Some((at, f))),
            "evidence.recorded" => self.on_release(event, |r, f: EvidenceRecorded| r.judged.add(&f)),
            "rollout.finished" => self.on_release(event, |r, f: RolloutFinished| {
                match f.outcome {
                    RolloutOutcome::Promoted => r.promoted_at = Some(at),
                    _ => r.removed = Some((at, f.why.clone())),
                }
                r.finished = Some((at, f));
            }),
            "apply.finished" => self.on(event, |s, fact: ApplyFinished| {
                s.applies.insert(fact.apply.clone(), Apply { at, fact, seq: event.seq });
            }),
            "instance.exited" => self.on(event, |s, fact| s.exited(at, fact)),
            "service.rolledback" => self.on(event, |s, f| s.rolled_back(at, f)),
            "artifact.quarantined" => self.on(event, |s, f: ArtifactQuarantined| s.quarantined.extend([f.digest])),
            "alert.fired" => self.on(event, |s, f: AlertFired| drop(s.firing.insert(f.alert.clone(), (at, f)))),
            "alert.resolved" => self.on(event, |s, f: AlertResolved| drop(s.firing.remove(&f.alert))),
            short
                if short.starts_with("incident.")
                    || short.starts_with("attribution.")
                    || short.starts_with("action.")
                    || short == "testgap.raised" =>
            {
                self.incident_event(event, at);
            }
            _ => {}
        }
    }

    fn on<F: lem_model::Fact>(&mut self, event: &Event, then: impl FnOnce(&mut Self, F)) {
        if let Some(fact) = event.read::<F>() {
            then(self, fact);
        }
    }

    fn on_release<F: lem_model::Fact>(&mut self, event: &Event, then: impl FnOnce(&mut Release, F)) {
        let release = self.releases.get_mut(&DeploymentId::from(event.subject.as_str()));
        if let (Some(release), Some(fact)) = (release, event.read::<F>()) {
            then(release, fact);
        }
    }

    fn planned(&mut self, at: Timestamp, seq: Seq, plan: ReleasePlanned) {
        let release = Release {
            plan,
            planned_at: at,
            started_at: None,
            weights: vec![],
            verdict: None,
            judged: Judged::default(),
            finished: None,
            promoted_at: None,
            removed: None,
            seq,
        };
        // The first plan of a rollout is the one that counts: a repeated request changes nothing.
        self.releases.entry(release.plan.deployment.clone()).or_insert(release);
    }

    fn routed(&mut self, at: Timestamp, routes: &RoutesApplied) {
        let scope = Scope { service: routes.service.clone(), environment: routes.environment.clone() };
        let newest: BTreeMap<Version, DeploymentId> =
            self.releases_in(&scope).map(|r| (r.plan.version.clone(), r.plan.deployment.clone())).collect();
        for (version, deployment) in newest {
            let weight = routes.weights.iter().find(|w| w.version == version).map_or(0, |w| w.weight);
            let Some(release) = self.releases.get_mut(&deployment) else { continue };
            if release.weights.last().map_or(0, |(_, w)| *w) != weight {
                release.weights.push((at, weight));
            }
        }
    }

    fn rolled_back(&mut self, at: Timestamp, fact: ServiceRolledBack) {
        if let Some(release) = self.releases.get_mut(&fact.deployment) {
            release.removed.get_or_insert((at, fact.why.clone()));
        }
        self.rollbacks.push((at, fact));
    }

    fn exited(&mut self, at: Timestamp, fact: InstanceExited) {
        if fact.expected {
            return;
        }
        self.exits.push(Exit { at, fact });
        let surplus = self.exits.len().saturating_sub(MAX_EXITS);
        self.exits.drain(..surplus);
    }

    fn incident_event(&mut self, event: &Event, at: Timestamp) {
        if let Some(detected) = event.read::<IncidentDetected>() {
            let alert = detected.alert.as_ref().and_then(|a| self.firing.get(a)).map(|(_, alert)| alert.clone());
            let incident = Incident {
                detected,
                at,
                alert,
                attribution: None,
                rejected: vec![],
                actions: vec![],
                refusals: vec![],
                resolved: None,
                test_gap: None,
                events: vec![event.seq],
            };
            self.incidents.entry(incident.detected.incident.clone()).or_insert(incident);
            return;
        }
        let Some(incident) = self.incidents.get_mut(&IncidentId::from(event.subject.as_str())) else { return };
        incident.events.push(event.seq);
        if let Some(fact) = event.read::<IncidentResolved>() {
            incident.resolved = Some((at, fact));
        } else if let Some(fact) = event.read::<AttributionProposed>() {
            self.attributions.insert(fact.attribution.clone(), fact.incident.clone());
            incident.attribution = Some(Attribution {
                proposed: fact,
                abstained: None,
                standing: Standing::Proposed,
                settled: None,
                at,
                seq: event.seq,
            });
        } else if let Some(fact) = event.read::<AttributionAbstained>() {
            self.attributions.insert(fact.attribution.clone(), fact.incident.clone());
            incident.attribution = Some(abstained(fact, at, event.seq));
        } else if let Some(fact) = event.read::<AttributionConfirmed>() {
            if let Some(a) = incident.attribution.as_mut().filter(|a| a.proposed.attribution == fact.attribution) {
                (a.standing, a.settled) = (Standing::Confirmed, Some(fact.sentence));
            }
            let kind = self.history.entry(fact.kind).or_default();
            (kind.seen, kind.confirmed) = (kind.seen + 1, kind.confirmed + 1);
        } else if let Some(fact) = event.read::<AttributionRejected>() {
            if let Some(mut a) = incident.attribution.take_if(|a| a.proposed.attribution == fact.attribution) {
                (a.standing, a.settled) = (Standing::Rejected, Some(fact.sentence));
                incident.rejected.push(a);
            }
            self.history.entry(fact.kind).or_default().seen += 1;
        } else if let Some(fact) = event.read::<ActionTaken>() {
            incident.actions.push((at, fact));
        } else if let Some(fact) = event.read::<ActionRefused>() {
            incident.refusals.push((at, fact));
        } else if event.is::<TestGapRaised>() {
            incident.test_gap = Some(event.seq);
        }
    }
}

fn abstained(fact: AttributionAbstained, at: Timestamp, seq: Seq) -> Attribution {
    let proposed = AttributionProposed {
        attribution: fact.attribution,
        incident: fact.incident,
        onset: fact.onset,
        causes: fact.causes,
        level: "none".into(),
        blind_spots: fact.blind_spots,
    };
    Attribution { proposed, abstained: Some(fact.why), standing: Standing::Abstained, settled: None, at, seq }
}

/// Whether a release can be taken back without losing data.
pub fn is_reversible(class: MigrationClass) -> bool {
    !matches!(class, MigrationClass::Irreversible | MigrationClass::Contract)
}

/// Whether the judge said the release is not worse.
pub fn passed(release: &Release) -> bool {
    release.verdict.as_ref().is_some_and(|(_, v)| v.outcome == VerdictOutcome::Good)
}
