//! Services, rollouts, freezes.

use crate::dto::{self, Health, RolloutState, StepState};
use crate::record::{Placed, Record, Rollout};
use jiff::Timestamp;
use lem_feedback::LoopState;
use lem_model::fact::{RolloutOutcome, VerdictOutcome, VersionWeight};

fn weights(weights: &[VersionWeight]) -> Vec<dto::Weight> {
    weights.iter().map(|w| dto::Weight { version: w.version.to_string(), weight: w.weight }).collect()
}

/// What is where.
pub fn services(record: &Record, state: &LoopState, now: Timestamp) -> Vec<dto::Service> {
    let mut services: Vec<dto::Service> = vec![];
    for ((service, environment), placed) in &record.places {
        let place = place(record, state, service, environment, placed, now);
        match services.last_mut().filter(|s| s.service == *service) {
            Some(found) => found.environments.push(place),
            None => services.push(dto::Service { service: service.clone(), environments: vec![place] }),
        }
    }
    services
}

fn place(
    record: &Record,
    state: &LoopState,
    service: &str,
    environment: &str,
    placed: &Placed,
    now: Timestamp,
) -> dto::ServicePlace {
    let mine = |r: &&Rollout| {
        r.finished.is_none()
            && r.planned.fact.service.as_str() == service
            && r.planned.fact.environment.as_str() == environment
    };
    let rollout = record.rollouts.values().rev().find(mine).map(|r| r.planned.fact.deployment.to_string());
    let instances = placed.instances.values().map(|i| dto::Instance {
        instance: i.fact.instance.clone(),
        version: i.fact.version.to_string(),
        address: i.fact.address.clone(),
        pid: i.fact.pid,
        since: i.at.into(),
    });
    dto::ServicePlace {
        environment: environment.to_owned(),
        version: placed.version.clone(),
        sha: placed.sha.clone(),
        previous: placed.previous.clone(),
        since: placed.since.map(Into::into),
        health: health(record, state, service, environment, placed),
        weights: weights(&placed.weights),
        rollout,
        frozen: frozen(record, service, environment, now),
        url: None,
        instances: instances.collect(),
    }
}

fn health(record: &Record, state: &LoopState, service: &str, environment: &str, placed: &Placed) -> Health {
    let alert = record.alerts.values().filter(|a| a.firing).map(|a| &a.fired.fact).any(|a| {
        a.service.as_ref().is_some_and(|s| s.as_str() == service)
            && a.environment.as_ref().is_none_or(|e| e.as_str() == environment)
    });
    let incident = state.incidents.values().filter(|i| i.resolved.is_none()).any(|i| {
        i.detected.service.as_ref().is_some_and(|s| s.id == service) && i.detected.environment.id == environment
    });
    match (alert || incident, placed.instances.is_empty(), placed.version.is_some()) {
        (true, _, _) => Health::Bad,
        (false, false, _) => Health::Ok,
        (false, true, true) => Health::Down,
        (false, true, false) => Health::Unknown,
    }
}

/// Why promotion of a service in an environment is frozen, if it is.
pub fn frozen(record: &Record, service: &str, environment: &str, now: Timestamp) -> Option<String> {
    let both = format!("{environment}/{service}");
    let scopes = ["*", service, both.as_str()];
    let found = record.freezes.values().filter(|f| scopes.contains(&f.fact.scope.as_str()));
    let found = found.filter(|f| f.fact.until.is_none_or(|until| until > now));
    found.map(|f| format!("{} ({})", f.fact.reason, f.fact.by)).next()
}

/// Running freezes.
pub fn freezes(record: &Record, now: Timestamp) -> Vec<dto::Freeze> {
    let running = record.freezes.values().filter(|f| f.fact.until.is_none_or(|until| until > now));
    running
        .map(|f| dto::Freeze {
            scope: f.fact.scope.clone(),
            reason: f.fact.reason.clone(),
            until: f.fact.until.map(Into::into),
            by: f.fact.by.to_string(),
            since: f.at.into(),
        })
        .collect()
}

/// When and why a rollout was taken off after it had taken over.
pub(crate) fn taken_back(rollout: &Rollout) -> Option<&(Timestamp, String)> {
    let promoted = rollout.finished.as_ref().is_some_and(|f| f.fact.outcome == RolloutOutcome::Promoted);
    rollout.taken_back.as_ref().filter(|_| promoted)
}

/// Where a rollout is, and why.
pub fn standing(rollout: &Rollout) -> (RolloutState, Option<String>) {
    if let Some((_, why)) = taken_back(rollout) {
        return (RolloutState::RolledBack, Some(why.clone()).filter(|w| !w.is_empty()));
    }
    if let Some(finished) = &rollout.finished {
        let state = match finished.fact.outcome {
            RolloutOutcome::Promoted => RolloutState::Promoted,
            RolloutOutcome::RolledBack => RolloutState::RolledBack,
            RolloutOutcome::Superseded => RolloutState::Superseded,
            RolloutOutcome::Failed => RolloutState::Failed,
        };
        return (state, Some(finished.fact.why.clone()).filter(|w| !w.is_empty()));
    }
    let why = |waits: &Option<(Timestamp, String)>| waits.as_ref().map(|(_, why)| why.clone());
    match rollout {
        r if r.aborted.is_some() => (RolloutState::Aborting, why(&r.aborted)),
        r if r.paused.is_some() => (RolloutState::Paused, why(&r.paused)),
        r if r.held.is_some() => (RolloutState::Held, why(&r.held)),
        r if r.started.is_some() => (RolloutState::Progressing, None),
        _ => (RolloutState::Planned, None),
    }
}

/// A rollout as a page.
pub fn rollout(record: &Record, rollout: &Rollout) -> dto::Rollout {
    let plan = &rollout.planned.fact;
    let (state, why) = standing(rollout);
    let finished = rollout.finished.as_ref();
    dto::Rollout {
        deployment: plan.deployment.to_string(),
        service: plan.service.to_string(),
        environment: plan.environment.to_string(),
        version: plan.version.to_string(),
        previous: plan.previous.as_ref().map(ToString::to_string),
        sha: plan.sha.to_string(),
        subject: record.subject(plan.sha.as_str()),
        strategy: plan.strategy.clone(),
        state,
        why,
        by: plan.by.to_string(),
        steps: steps(rollout),
        weights: weights(&rollout.weights),
        observed: observed(rollout),
        evidence: rollout.evidence.iter().map(evidence).collect(),
        threshold: threshold(rollout),
        judge: rollout.judge.as_ref().map(|j| j.sentence.clone()),
        verdict: rollout.verdict.as_ref().map(verdict),
        planned_at: rollout.planned.at.into(),
        started_at: rollout.started.map(Into::into),
        finished_at: finished.map(|f| f.at.into()),
        taken_back_at: taken_back(rollout).map(|(at, _)| (*at).into()),
        notes: rollout.notes.clone(),
        exposed_requests: finished.map(|f| f.fact.exposed_requests),
        exposed_bad: finished.map(|f| f.fact.exposed_bad),
        seqs: rollout.seqs.clone(),
    }
}

fn steps(rollout: &Rollout) -> Vec<dto::RolloutStep> {
    let under_way = rollout.finished.is_none() && rollout.started.is_some();
    let current = (0..u32::MAX).find(|i| !rollout.steps.contains_key(i)).filter(|_| under_way);
    let all = rollout.planned.fact.steps.iter().zip(0u32..);
    all.map(|(text, index)| dto::RolloutStep {
        index,
        text: text.clone(),
        state: match rollout.steps.get(&index) {
            Some(_) => StepState::Done,
            None if Some(index) == current => StepState::Current,
            None => StepState::Pending,
        },
        at: rollout.steps.get(&index).map(|at| (*at).into()),
    })
    .collect()
}

/// Requests per version by the signal that saw most of them: every signal counts the same requests.
fn observed(rollout: &Rollout) -> Vec<dto::Observed> {
    let mut sums: std::collections::BTreeMap<&str, [u64; 4]> = std::collections::BTreeMap::new();
    for counts in rollout.evidence.iter().flat_map(|e| &e.fact.counts) {
        let sum = sums.entry(&counts.signal).or_default();
        let add = [counts.canary, counts.canary_bad, counts.stable, counts.stable_bad];
        sum.iter_mut().zip(add).for_each(|(s, a)| *s = s.saturating_add(a));
    }
    let errors = sums.get("errors").copied().or_else(|| sums.values().max_by_key(|s| s[0] + s[2]).copied());
    let Some([canary, canary_bad, stable, stable_bad]) = errors else { return vec![] };
    let all = (canary + stable).max(1) as f64;
    let plan = &rollout.planned.fact;
    let one = |version: &str, requests: u64, bad: u64| dto::Observed {
        version: version.to_owned(),
        requests,
        bad,
        share: requests as f64 / all,
    };
    let mut observed = vec![one(plan.version.as_str(), canary, canary_bad)];
    observed.extend(plan.previous.as_ref().map(|p| one(p.as_str(), stable, stable_bad)));
    observed
}

fn evidence(at: &crate::record::At<lem_model::fact::EvidenceRecorded>) -> dto::Evidence {
    let counts = at.fact.counts.iter().map(|c| dto::SignalCounts {
        signal: c.signal.clone(),
        canary: c.canary,
        canary_bad: c.canary_bad,
        stable: c.stable,
        stable_bad: c.stable_bad,
        note: c.note.clone(),
    });
    dto::Evidence {
        from: at.fact.from.into(),
        to: at.fact.to.into(),
        ln_e: at.fact.ln_e,
        ln_e_promote: at.fact.ln_e_promote,
        counts: counts.collect(),
        needed: at.fact.needed,
        seq: at.seq,
    }
}

/// ln(1/alpha) of the judge's settings, or what the verdict says it was held against.
fn threshold(rollout: &Rollout) -> Option<dto::Threshold> {
    let settings = rollout.judge.as_ref().map(|j| &j.settings);
    let ln = |key: &str| settings.and_then(|s| s.get(key)?.as_f64()).filter(|a| *a > 0.0).map(|a| -a.ln());
    let said = rollout.verdict.as_ref().map(|v| v.fact.ln_threshold);
    let good = settings.and_then(|s| s.get("promoteAlpha").or_else(|| s.get("promote_alpha"))?.as_f64());
    let ln_bad = ln("alpha").or(said);
    let ln_good = good.filter(|a| *a > 0.0).map(|a| -a.ln()).or(ln_bad);
    ln_bad.map(|_| dto::Threshold { ln_bad, ln_good })
}

fn verdict(at: &crate::record::At<lem_model::fact::VerdictReached>) -> dto::Verdict {
    let signals = at.fact.signals.iter().map(|s| dto::Signal {
        signal: s.signal.clone(),
        share: s.share,
        ln_e: s.ln_e,
        sentence: s.sentence.clone(),
    });
    dto::Verdict {
        outcome: match at.fact.outcome {
            VerdictOutcome::Good => dto::VerdictOutcome::Good,
            VerdictOutcome::Bad => dto::VerdictOutcome::Bad,
            VerdictOutcome::Undecided => dto::VerdictOutcome::Undecided,
        },
        sentence: at.fact.sentence.clone(),
        signals: signals.collect(),
        at: at.at.into(),
        seq: at.seq,
    }
}
