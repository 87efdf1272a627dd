//! How one event changes the record.

use super::*;
use crate::dto::StationId;
use lem_feedback::report::sentence;
use lem_ledger::Projection;
use lem_model::fact::{
    AlertResolved, DeployRefused, FreezeEnded, InstanceExited, JobStarted, ReleaseNotesPublished, RollbackRefused,
    RolloutAborted, RolloutHeld, RolloutPaused, RolloutResumed, RolloutStarted, RolloutStepFinished, RolloutSuperseded,
    RoutesApplied, RunStarted, ServiceDeployed, ServiceRemoved, ServiceRolledBack, ServiceUpgraded,
};
use lem_model::{Event, Fact};

impl Projection for Record {
    const NAME: &'static str = "server";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        self.size = self.size.max(event.seq + 1);
        if let Some(chain) = &event.chain
            && self.changes.contains_key(chain)
        {
            self.touched.insert(chain.clone(), event.time_occurred);
        }
        self.flow(event);
        self.stages.fold(event);
        match event.kind.short() {
            "change.merged" => self.change(event),
            kind if kind.starts_with("pipelinerun.") || kind.starts_with("taskrun.") => self.run(event),
            "job.skipped" | "step.finished" | "testsuiterun.finished" | "artifact.packaged" => self.run(event),
            "pipelineplan.rejected" => {
                self.rejected.extend(at::<RunRejected>(event));
                trim(&mut self.rejected);
            }
            "release.planned" => self.planned(event),
            kind if kind.starts_with("rollout.") => self.rollout(event),
            "judge.started" | "evidence.recorded" | "verdict.reached" | "releasenotes.published" => self.rollout(event),
            kind if kind.starts_with("service.") || kind.starts_with("instance.") => self.place(event),
            "routes.applied" => self.routed(event),
            _ => self.rest(event),
        }
    }
}

fn at<F: Fact>(event: &Event) -> Option<At<F>> {
    event.read::<F>().map(|fact| At { at: event.time_occurred, seq: event.seq, fact })
}

fn trim<T>(list: &mut VecDeque<T>) {
    while list.len() > LISTED_KEPT {
        list.pop_front();
    }
}

fn keep<T>(map: &mut IndexMap<String, T>, most: usize) {
    while map.len() > most {
        map.shift_remove_index(0);
    }
}

fn note(seqs: &mut Vec<Seq>, seq: Seq) {
    if seqs.len() < SEQS_KEPT {
        seqs.push(seq);
    }
}

impl Record {
    /// Which station an event happens at, and which arrow it flows along.
    fn flow(&mut self, event: &Event) {
        use StationId::{Deploy, Observe, Optimize, Pipeline, Provision, Release, Secure};
        let (station, arrow) = match event.kind.short() {
            "change.merged" => (Pipeline, None),
            "pipelinerun.queued" | "pipelinerun.started" | "pipelinerun.finished" | "taskrun.finished" => {
                (Pipeline, None)
            }
            "artifact.packaged" => (Pipeline, Some((Pipeline, Release))),
            "release.planned" | "deploy.requested" => (Release, Some((Release, Deploy))),
            "rollout.started"
            | "rollout.stepfinished"
            | "rollout.finished"
            | "rollout.held"
            | "rollout.paused"
            | "verdict.reached" => (Deploy, None),
            "service.deployed" | "service.upgraded" | "service.rolledback" => (Deploy, Some((Deploy, Observe))),
            "alert.fired" | "alert.resolved" | "incident.detected" | "incident.resolved" => (Observe, None),
            "rollback.requested" => (Deploy, Some((Observe, Deploy))),
            "regression.marked" => (Pipeline, Some((Observe, Pipeline))),
            "plan.finished" | "apply.started" | "drift.checked" => (Provision, None),
            "apply.finished" => (Provision, Some((Provision, Pipeline))),
            "drift.requested" => (Provision, Some((Observe, Provision))),
            "infrachange.requested" => (Provision, Some((Optimize, Provision))),
            "scan.finished" | "exception.granted" | "gate.decided" | "attestation.recorded" | "secret.changed" => {
                (Secure, None)
            }
            "cost.estimated" | "budget.exceeded" | "recommendation.moved" => (Optimize, None),
            "recommendation.created" => (Optimize, Some((Optimize, Provision))),
            "recommendation.requested" => (Optimize, Some((Observe, Optimize))),
            _ => return,
        };
        let flow = Flow { at: event.time_occurred, seq: event.seq, sentence: sentence(event) };
        if let Some(arrow) = arrow {
            self.arrows.insert(arrow, flow.clone());
        }
        self.last.insert(station, flow);
    }

    fn change(&mut self, event: &Event) {
        let Some(change) = at::<ChangeMerged>(event) else { return };
        let sha = change.fact.sha.to_string();
        self.touched.insert(sha.clone(), change.at);
        self.changes.entry(sha).or_insert(change);
        while self.changes.len() > CHANGES_KEPT {
            if let Some((sha, _)) = self.changes.shift_remove_index(0) {
                self.touched.remove(&sha);
            }
        }
    }

    fn run(&mut self, event: &Event) {
        if let Some(queued) = at::<RunQueued>(event) {
            let run = Run {
                started: None,
                finished: None,
                jobs_started: BTreeMap::new(),
                jobs_finished: BTreeMap::new(),
                jobs_skipped: BTreeMap::new(),
                steps: BTreeMap::new(),
                tests: BTreeMap::new(),
                artifacts: vec![],
                seqs: vec![event.seq],
                queued,
            };
            self.runs.entry(run.queued.fact.run.to_string()).or_insert(run);
            keep(&mut self.runs, RUNS_KEPT);
            return;
        }
        let id = event.read::<ArtifactPackaged>().map(|f| f.run.to_string());
        let id = id.unwrap_or_else(|| event.subject.split('/').next().unwrap_or_default().to_owned());
        let Some(run) = self.runs.get_mut(&id) else { return };
        note(&mut run.seqs, event.seq);
        if event.is::<RunStarted>() {
            run.started = Some(event.time_occurred);
        } else if let Some(fact) = at::<RunFinished>(event) {
            run.finished = Some(fact);
        } else if let Some(fact) = event.read::<JobStarted>() {
            run.jobs_started.insert(fact.job, event.time_occurred);
        } else if let Some(fact) = at::<JobFinished>(event) {
            run.jobs_finished.insert(fact.fact.job.clone(), fact);
        } else if let Some(fact) = at::<JobSkipped>(event) {
            run.jobs_skipped.insert(fact.fact.job.clone(), fact);
        } else if let Some(fact) = event.read::<StepFinished>() {
            run.steps.entry(fact.job.clone()).or_default().push(fact);
        } else if let Some(fact) = event.read::<TestSuiteFinished>() {
            run.tests.entry(fact.job.clone()).or_default().push(fact);
        } else if let Some(fact) = event.read::<ArtifactPackaged>() {
            run.artifacts.push(fact);
        }
    }

    fn planned(&mut self, event: &Event) {
        let Some(planned) = at::<ReleasePlanned>(event) else { return };
        let rollout = Rollout {
            started: None,
            steps: BTreeMap::new(),
            held: None,
            paused: None,
            aborted: None,
            superseded: None,
            judge: None,
            evidence: VecDeque::new(),
            verdict: None,
            finished: None,
            taken_back: None,
            weights: vec![],
            notes: None,
            seqs: vec![event.seq],
            planned,
        };
        self.rollouts.entry(rollout.planned.fact.deployment.to_string()).or_insert(rollout);
        keep(&mut self.rollouts, ROLLOUTS_KEPT);
    }

    fn rollout(&mut self, event: &Event) {
        let Some(rollout) = self.rollouts.get_mut(&event.subject) else { return };
        note(&mut rollout.seqs, event.seq);
        let now = event.time_occurred;
        if event.is::<RolloutStarted>() {
            rollout.started = Some(now);
        } else if let Some(fact) = event.read::<RolloutStepFinished>() {
            rollout.steps.insert(fact.index, now);
            (rollout.held, rollout.paused) = (None, None);
        } else if let Some(fact) = event.read::<RolloutHeld>() {
            rollout.held = Some((now, fact.why));
        } else if let Some(fact) = event.read::<RolloutPaused>() {
            rollout.paused = Some((now, fact.why));
        } else if event.is::<RolloutResumed>() {
            (rollout.held, rollout.paused) = (None, None);
        } else if let Some(fact) = event.read::<RolloutSuperseded>() {
            rollout.superseded = Some(fact.by_deployment.to_string());
        } else if let Some(fact) = event.read::<RolloutAborted>() {
            rollout.aborted = Some((now, fact.why));
        } else if let Some(fact) = at::<RolloutFinished>(event) {
            rollout.finished = Some(fact);
        } else if let Some(fact) = event.read::<JudgeStarted>() {
            rollout.judge = Some(fact);
        } else if let Some(fact) = at::<VerdictReached>(event) {
            rollout.verdict = Some(fact);
        } else if let Some(fact) = event.read::<ReleaseNotesPublished>() {
            rollout.notes = Some(fact.markdown);
        } else if let Some(fact) = at::<EvidenceRecorded>(event) {
            rollout.held = None;
            rollout.evidence.push_back(fact);
            if rollout.evidence.len() > EVIDENCE_KEPT {
                rollout.evidence.pop_front();
            }
        }
    }

    fn routed(&mut self, event: &Event) {
        let Some(routes) = event.read::<RoutesApplied>() else { return };
        if let Some(rollout) = routes.deployment.as_ref().and_then(|d| self.rollouts.get_mut(d.as_str())) {
            rollout.weights.clone_from(&routes.weights);
            note(&mut rollout.seqs, event.seq);
        }
        let key = (routes.service.to_string(), routes.environment.to_string());
        self.places.entry(key).or_default().weights = routes.weights;
    }

    fn place(&mut self, event: &Event) {
        let now = event.time_occurred;
        if let Some(fact) = at::<InstanceStarted>(event) {
            let key = (fact.fact.service.to_string(), fact.fact.environment.to_string());
            self.places.entry(key).or_default().instances.insert(fact.fact.instance.clone(), fact);
        } else if let Some(fact) = event.read::<InstanceExited>() {
            let key = (fact.service.to_string(), fact.environment.to_string());
            if let Some(place) = self.places.get_mut(&key) {
                place.instances.remove(&fact.instance);
            }
        } else if let Some(f) = event.read::<ServiceDeployed>() {
            self.runs_now(f.service.as_ref(), &f.environment.id, f.version.to_string(), f.sha.to_string(), now);
        } else if let Some(f) = event.read::<ServiceUpgraded>() {
            self.runs_now(f.service.as_ref(), &f.environment.id, f.version.to_string(), f.sha.to_string(), now);
        } else if let Some(f) = event.read::<ServiceRolledBack>() {
            if let Some(rollout) = self.rollouts.get_mut(f.deployment.as_str()) {
                rollout.taken_back = Some((now, f.why));
                note(&mut rollout.seqs, event.seq);
            }
            let sha = self.sha_of(f.service.as_str(), f.version.as_str());
            self.runs_now(f.service.as_ref(), &f.environment.id, f.version.to_string(), sha, now);
        } else if let Some(f) = event.read::<ServiceRemoved>() {
            self.places.remove(&(f.service.to_string(), f.environment.id));
        }
    }

    fn sha_of(&self, service: &str, version: &str) -> String {
        let found = self.rollouts.values().rev().map(|r| &r.planned.fact);
        let found = found.filter(|p| p.service.as_str() == service && p.version.as_str() == version);
        found.map(|p| p.sha.to_string()).next().unwrap_or_default()
    }

    fn runs_now(&mut self, service: &str, environment: &str, version: String, sha: String, now: Timestamp) {
        let place = self.places.entry((service.to_owned(), environment.to_owned())).or_default();
        if place.version.as_ref() != Some(&version) {
            place.previous = place.version.replace(version);
            place.since = Some(now);
        }
        place.sha = (!sha.is_empty()).then_some(sha);
    }

    fn rest(&mut self, event: &Event) {
        let now = event.time_occurred;
        if let Some(fired) = at::<AlertFired>(event) {
            self.alerts.insert(fired.fact.alert.to_string(), Alert { fired, firing: true });
            while self.alerts.len() > ALERTS_KEPT {
                let Some(old) = self.alerts.iter().position(|(_, a)| !a.firing) else { break };
                self.alerts.shift_remove_index(old);
            }
        } else if let Some(fact) = event.read::<AlertResolved>() {
            if let Some(alert) = self.alerts.get_mut(fact.alert.as_str()) {
                alert.firing = false;
            }
        } else if let Some(fact) = at::<FreezeStarted>(event) {
            self.freezes.insert(fact.fact.scope.clone(), fact);
        } else if let Some(fact) = event.read::<FreezeEnded>() {
            self.freezes.remove(&fact.scope);
        } else if let Some(fact) = at::<IncidentNoted>(event) {
            let notes = self.notes.entry(fact.fact.incident.to_string()).or_default();
            if notes.len() < NOTES_KEPT {
                notes.push(fact);
            }
        } else if let Some(fact) = at::<ReportPublished>(event) {
            self.reports.push_back(fact);
            trim(&mut self.reports);
        } else if let Some(fact) = event.read::<DeployRefused>() {
            let title = format!("{} {} may not go to {}", fact.service, fact.version, fact.environment);
            let href = format!("/changes/{}", fact.sha);
            self.refusals.push_back(Refusal { at: now, title, why: fact.why, href });
            trim(&mut self.refusals);
        } else if let Some(fact) = event.read::<RollbackRefused>() {
            let title = format!("{} in {} was not rolled back", fact.service, fact.environment);
            self.refusals.push_back(Refusal { at: now, title, why: fact.why, href: "/deploy".into() });
            trim(&mut self.refusals);
        }
    }
}
