//! The fold: one function per subject, no decisions. What does not read or does not fit is left alone.

use super::{
    Artifact, Commit, Ended, EvidencePoint, Freeze, Lane, Left, Lingering, Measured, Pending, Placed, Promote, Rollout,
    State,
};
use super::{COMMITS_KEPT, ENDED_KEPT, EVIDENCE_KEPT, LINGERING_MAX, PENDING_MAX, RUNS_KEPT};
use crate::events::*;
use jiff::Timestamp;
use lem_engine_judge::condition::Phase as Measurement;
use lem_engine_judge::sequential::Judge;
use lem_model::port::Scope;
use lem_model::{DeploymentId, Event, Fact};
use std::collections::VecDeque;

impl State {
    /// Folds one event.
    pub fn apply(&mut self, event: &Event) {
        let at = event.time_occurred;
        let subject = event.kind.short().split('.').next().unwrap_or_default();
        match subject {
            "change" | "artifact" | "pipelinerun" => self.apply_input(event),
            "freeze" | "unfreeze" | "quarantine" => self.apply_global(event),
            "deploy" | "release" | "rollback" | "service" | "routes" | "instance" => self.apply_lane(event, at),
            "rollout" | "judge" | "analysis" | "evidence" | "verdict" | "releasenotes" | "promote" | "abort"
            | "retry" | "pause" | "resume" => self.apply_rollout(event, at),
            _ => {}
        }
    }

    fn apply_input(&mut self, event: &Event) {
        if let Some(f) = event.read::<ChangeMerged>() {
            self.commits.insert(f.sha, Commit { message: f.message, author: f.author, parent: f.parent });
            if self.commits.len() > COMMITS_KEPT {
                self.commits.shift_remove_index(0);
            }
        } else if let Some(f) = event.read::<ArtifactPackaged>() {
            let artifact = Artifact { name: f.name, digest: f.digest, purl: f.purl, sha: f.sha };
            self.artifacts.entry(f.run).or_default().push(artifact);
            if self.artifacts.len() > RUNS_KEPT {
                self.artifacts.shift_remove_index(0);
            }
        } else if let Some(f) = event.read::<RunFinished>() {
            if f.outcome == Outcome::Success {
                self.succeeded.push((f.run, f.sha, f.branch));
            }
            if self.succeeded.len() > RUNS_KEPT {
                self.succeeded.remove(0);
            }
        } else if let Some(f) = event.read::<ArtifactQuarantined>() {
            self.quarantine_asked.retain(|q| q.digest != f.digest);
            self.quarantined.insert(f.digest, f.why);
        }
    }

    fn apply_global(&mut self, event: &Event) {
        if let Some(f) = event.read::<FreezeRequested>() {
            self.freeze_asked.push_back((f.scope, f.until, f.reason, f.by));
        } else if let Some(f) = event.read::<UnfreezeRequested>() {
            self.unfreeze_asked.push_back((f.scope, f.reason, f.by));
        } else if let Some(f) = event.read::<FreezeStarted>() {
            self.freeze_asked.retain(|(scope, ..)| *scope != f.scope);
            self.freezes.insert(f.scope, Freeze { until: f.until, reason: f.reason, by: f.by });
        } else if let Some(f) = event.read::<FreezeEnded>() {
            self.unfreeze_asked.retain(|(scope, ..)| *scope != f.scope);
            self.freezes.remove(&f.scope);
        } else if let Some(f) = event.read::<FreezeOverridden>() {
            self.with_rollout(&f.deployment, |r| r.overridden = true);
            for lane in self.lanes.values_mut() {
                lane.pending
                    .iter_mut()
                    .filter(|p| p.request.deployment == f.deployment)
                    .for_each(|p| p.overridden = true);
            }
        } else if let Some(f) = event.read::<QuarantineRequested>() {
            self.quarantine_asked.push_back(f);
        }
    }

    fn lane(&mut self, service: &lem_model::ServiceName, environment: &lem_model::EnvironmentName) -> &mut Lane {
        let scope = Scope { service: service.clone(), environment: environment.clone() };
        self.lanes.entry(scope).or_default()
    }

    fn apply_lane(&mut self, event: &Event, at: Timestamp) {
        if let Some(f) = event.read::<DeployRequested>() {
            let known = self.artifacts.values().flatten().find(|a| a.digest == f.digest);
            let purl = known.map(|a| a.purl.clone());
            let lane = self.lane(&f.service, &f.environment);
            if lane.requested.insert(f.deployment.clone()) && lane.pending.len() < PENDING_MAX {
                lane.pending.push(Pending { request: f, purl, held: None, overridden: false });
            }
        } else if let Some(f) = event.read::<DeployRefused>() {
            self.lane(&f.service, &f.environment).pending.retain(|p| p.request.deployment != f.deployment);
        } else if let Some(f) = event.read::<ReleasePlanned>() {
            self.lane(&f.service, &f.environment).plan(f, at);
        } else if let Some(f) = event.read::<RollbackRequested>() {
            self.lane(&f.service, &f.environment).rollbacks.push_back(f);
        } else if let Some(f) = event.read::<RollbackRefused>() {
            self.lane(&f.service, &f.environment).rollbacks.pop_front();
        } else if let Some(f) = event.read::<RoutesApplied>() {
            self.lane(&f.service, &f.environment).weights = f.weights;
        } else {
            self.apply_service(event, at);
        }
    }

    fn apply_service(&mut self, event: &Event, at: Timestamp) {
        if let Some(f) = event.read::<ServiceDeployed>() {
            self.lane(&f.service, &f.environment.id.as_str().into()).take_over(&f.deployment, at);
        } else if let Some(f) = event.read::<ServiceUpgraded>() {
            self.lane(&f.service, &f.environment.id.as_str().into()).take_over(&f.deployment, at);
        } else if let Some(f) = event.read::<ServiceRolledBack>() {
            self.lane(&f.service, &f.environment.id.as_str().into()).roll_back(&f, at);
        } else if let Some(f) = event.read::<InstanceStarted>() {
            let lane = self.lane(&f.service, &f.environment);
            lane.instances.insert(f.instance, (f.version, f.address, f.pid));
        } else if let Some(f) = event.read::<InstanceExited>() {
            self.lane(&f.service, &f.environment).instances.remove(&f.instance);
        }
    }

    fn with_rollout(&mut self, deployment: &DeploymentId, change: impl FnOnce(&mut Rollout)) {
        let mut rollouts = self.lanes.values_mut().filter_map(|l| l.rollout.as_mut());
        if let Some(rollout) = rollouts.find(|r| r.planned.deployment == *deployment) {
            change(rollout);
        }
    }

    fn apply_rollout(&mut self, event: &Event, at: Timestamp) {
        match event.kind.short() {
            "promote.requested" => self.on::<PromoteRequested>(
                event,
                |f| &f.deployment,
                |r, f| {
                    r.promote = Some(Promote { full: f.full, reason: f.reason, by: f.by });
                    r.full |= f.full;
                },
            ),
            "abort.requested" => {
                self.on::<AbortRequested>(event, |f| &f.deployment, |r, f| r.abort_asked = Some((f.reason, f.by)));
            }
            "pause.requested" => {
                self.on::<PauseRequested>(event, |f| &f.deployment, |r, f| r.pause_asked = Some((f.reason, f.by)));
            }
            "resume.requested" => {
                self.on::<ResumeRequested>(event, |f| &f.deployment, |r, f| r.resume_asked = Some(f.by));
            }
            "retry.requested" => self.retry(event),
            "rollout.started" => self.on::<RolloutStarted>(
                event,
                |f| &f.deployment,
                |r, _| {
                    r.started_at = Some(at);
                    r.step_times = vec![at];
                },
            ),
            "rollout.stepfinished" => self.on::<RolloutStepFinished>(
                event,
                |f| &f.deployment,
                |r, f| {
                    r.step = f.index as usize + 1;
                    r.step_times.push(at);
                    (r.held, r.paused, r.pause_ended) = (None, None, false);
                    if !r.full {
                        r.promote = None;
                    }
                },
            ),
            "rollout.held" => self.held(event),
            "rollout.paused" => self.on::<RolloutPaused>(
                event,
                |f| &f.deployment,
                |r, f| {
                    (r.paused, r.pause_asked) = (Some(f.why), None);
                },
            ),
            "rollout.resumed" => self.on::<RolloutResumed>(
                event,
                |f| &f.deployment,
                |r, f| {
                    r.held = None;
                    // The engine says this when nothing holds the rollout any more; only a person ends a pause.
                    if f.by.as_str() != ENGINE {
                        r.background_waived |= r.paused.as_ref().is_some_and(|why| why.starts_with("background"));
                        (r.paused, r.resume_asked, r.pause_ended) = (None, None, true);
                    }
                },
            ),
            "rollout.superseded" => {
                self.on::<RolloutSuperseded>(event, |f| &f.deployment, |r, f| r.superseded = Some(f.by_deployment));
            }
            "rollout.aborted" => {
                self.on::<RolloutAborted>(event, |f| &f.deployment, |r, f| r.aborted = Some((f.why, f.by)));
            }
            "rollout.finished" => self.finished(event, at),
            _ => self.apply_evidence(event, at),
        }
    }

    fn apply_evidence(&mut self, event: &Event, at: Timestamp) {
        match event.kind.short() {
            "judge.started" => self.on::<JudgeStarted>(event, |f| &f.deployment, |r, f| r.judge = judge(&f)),
            "evidence.recorded" => self.on::<EvidenceRecorded>(event, |f| &f.deployment, |r, f| r.record(f)),
            "verdict.reached" => self.on::<VerdictReached>(event, |f| &f.deployment, |r, f| r.verdict = Some(f)),
            "analysis.measured" => self.on::<AnalysisMeasured>(
                event,
                |f| &f.deployment,
                |r, f| {
                    let phase = measurement(&f.phase);
                    r.measured.push(Measured {
                        run: f.run,
                        metric: f.metric,
                        at_ms: at.as_millisecond(),
                        phase,
                        value: f.value,
                    });
                },
            ),
            "releasenotes.published" => {
                self.on::<ReleaseNotesPublished>(event, |f| &f.deployment, |r, _| r.noted = true);
            }
            _ => {}
        }
    }

    fn on<F: Fact>(&mut self, event: &Event, id: fn(&F) -> &DeploymentId, change: impl FnOnce(&mut Rollout, F)) {
        if let Some(fact) = event.read::<F>() {
            let deployment = id(&fact).clone();
            self.with_rollout(&deployment, |rollout| change(rollout, fact));
        }
    }

    fn held(&mut self, event: &Event) {
        let Some(f) = event.read::<RolloutHeld>() else { return };
        for lane in self.lanes.values_mut() {
            lane.pending
                .iter_mut()
                .filter(|p| p.request.deployment == f.deployment)
                .for_each(|p| p.held = Some(f.why.clone()));
        }
        self.with_rollout(&f.deployment, |r| r.held = Some(f.why));
    }

    /// An ended rollout that did not succeed waits again, under its own id.
    fn retry(&mut self, event: &Event) {
        let Some(f) = event.read::<RetryRequested>() else { return };
        for lane in self.lanes.values_mut() {
            let ended = lane.ended.iter().rev().find(|e| e.planned.deployment == f.deployment);
            let Some(planned) = ended.filter(|e| e.finished.outcome != RolloutOutcome::Promoted).map(|e| &e.planned)
            else {
                continue;
            };
            let busy = lane.rollout.is_some() || lane.pending.iter().any(|p| p.request.deployment == f.deployment);
            if busy {
                continue;
            }
            let request = DeployRequested {
                deployment: planned.deployment.clone(),
                service: planned.service.clone(),
                environment: planned.environment.clone(),
                version: planned.version.clone(),
                sha: planned.sha.clone(),
                digest: planned.digest.clone(),
                by: f.by.clone(),
                reason: None,
            };
            lane.pending.push(Pending { request, purl: Some(planned.purl.clone()), held: None, overridden: false });
        }
    }

    fn finished(&mut self, event: &Event, at: Timestamp) {
        let Some(f) = event.read::<RolloutFinished>() else { return };
        let lane = self.lane(&f.service, &f.environment);
        let Some(rollout) = lane.rollout.take_if(|r| r.planned.deployment == f.deployment) else { return };
        if f.outcome != RolloutOutcome::Promoted {
            lane.linger(rollout.placed(), at, Left::Aborted);
        }
        lane.ended.push(Ended { planned: rollout.planned, finished: f, at, verdict: rollout.verdict });
        if lane.ended.len() > ENDED_KEPT {
            lane.ended.remove(0);
        }
    }
}

impl Lane {
    fn plan(&mut self, planned: ReleasePlanned, at: Timestamp) {
        let waiting = self.pending.iter().position(|p| p.request.deployment == planned.deployment);
        let overridden = waiting.is_some_and(|at| self.pending.remove(at).overridden);
        self.lingering.retain(|l| l.placed.digest != planned.digest);
        self.rollout = Some(Rollout {
            planned,
            planned_at: at,
            started_at: None,
            step: 0,
            step_times: vec![],
            paused: None,
            pause_ended: false,
            background_waived: false,
            held: None,
            promote: None,
            full: false,
            pause_asked: None,
            resume_asked: None,
            abort_asked: None,
            judge: None,
            verdict: None,
            evidence: VecDeque::new(),
            exposed: (0, 0),
            measured: vec![],
            aborted: None,
            superseded: None,
            took_over: false,
            noted: false,
            overridden,
        });
    }

    fn take_over(&mut self, deployment: &DeploymentId, at: Timestamp) {
        let Some(rollout) = self.rollout.as_mut().filter(|r| r.planned.deployment == *deployment) else { return };
        rollout.took_over = true;
        let placed = Placed { since: at, ..rollout.placed() };
        if let Some(old) = self.stable.replace(placed.clone()) {
            self.linger(old, at, Left::Replaced);
        }
        self.verified.retain(|p| p.digest != placed.digest);
        self.verified.push(placed);
    }

    fn roll_back(&mut self, f: &ServiceRolledBack, at: Timestamp) {
        self.rollbacks.pop_front();
        let Some(target) = self.verified.iter().rev().find(|p| p.version == f.version).cloned() else { return };
        // What was taken off is no longer verified, nor is what was promoted between the two.
        while self.verified.last().is_some_and(|p| p.digest != target.digest) {
            self.verified.pop();
        }
        self.lingering.retain(|l| l.placed.digest != target.digest);
        if let Some(old) = self.stable.replace(Placed { since: at, ..target }) {
            self.linger(old, at, Left::Replaced);
        }
    }

    fn linger(&mut self, placed: Placed, since: Timestamp, how: Left) {
        self.lingering.retain(|l| l.placed.digest != placed.digest);
        self.lingering.push(Lingering { placed, since, how });
        if self.lingering.len() > LINGERING_MAX {
            self.lingering.remove(0);
        }
    }
}

impl Rollout {
    fn record(&mut self, f: EvidenceRecorded) {
        if let Some(judge) = &mut self.judge {
            let interval = crate::evidence::interval(judge, &f.counts);
            judge.fold(&interval);
        }
        if let Some(errors) = f.counts.iter().find(|c| c.signal == crate::evidence::ERRORS) {
            self.exposed.0 = self.exposed.0.saturating_add(errors.canary);
            self.exposed.1 = self.exposed.1.saturating_add(errors.canary_bad);
        }
        self.evidence.push_back(EvidencePoint {
            at: f.to,
            counts: f.counts,
            ln_e: f.ln_e,
            ln_e_promote: f.ln_e_promote,
            needed: f.needed,
        });
        if self.evidence.len() > EVIDENCE_KEPT {
            self.evidence.pop_front();
        }
    }
}

fn judge(f: &JudgeStarted) -> Option<Judge> {
    let settings = serde_json::from_value(f.settings.clone()).ok()?;
    let signals = serde_json::from_value(f.signals.clone()).ok()?;
    Judge::new(settings, signals).ok()
}

fn measurement(phase: &str) -> Measurement {
    match phase {
        "successful" => Measurement::Successful,
        "failed" => Measurement::Failed,
        "inconclusive" => Measurement::Inconclusive,
        _ => Measurement::Error,
    }
}
