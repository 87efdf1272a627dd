//! A rollout under way: what ends it, what moves it on, what it waits for.

use super::judging::{analysis_phase, background_phase, due_metrics, judge_said, verdict_said};
use super::release::judges;
use super::{Deed, Fault, Scene, desired};
use crate::events::{
    ArtifactQuarantined, ENGINE, FreezeOverridden, Ref, ReleaseNotesPublished, RolloutAborted, RolloutFinished,
    RolloutHeld, RolloutOutcome, RolloutPaused, RolloutResumed, RolloutStarted, RolloutStepFinished, Said,
    ServiceDeployed, ServiceUpgraded, VerdictOutcome, VerdictReached,
};
use crate::evidence;
use crate::model::{Method, Step, WEIGHT_TOTAL, human_ms};
use crate::state::{Placed, Rollout};
use jiff::Timestamp;
use lem_engine_judge::analysis::{Evidence, Phase};
use lem_engine_judge::sequential::Verdict;
use lem_model::Actor;
use std::time::Duration;

/// The next facts of the rollout, or nothing when it has to wait.
pub(super) fn advance(scene: &Scene<'_>) -> Vec<Said> {
    let Some(rollout) = &scene.lane.rollout else { return vec![] };
    if rollout.took_over {
        return ending(scene, rollout);
    }
    if rollout.is_turning_back() {
        return back(scene, rollout);
    }
    if rollout.started_at.is_none() {
        return vec![started(rollout)];
    }
    let recorded = judge_said(scene, rollout);
    if !recorded.is_empty() {
        return recorded;
    }
    if let Some(said) = failure(scene, rollout) {
        return said;
    }
    if let Some(said) = verdict_said(scene, rollout) {
        return vec![said];
    }
    if let Some(said) = asked(scene, rollout) {
        return vec![said];
    }
    forward(scene, rollout)
}

fn started(rollout: &Rollout) -> Said {
    let p = &rollout.planned;
    RolloutStarted {
        deployment: p.deployment.clone(),
        service: p.service.clone(),
        environment: p.environment.clone(),
        version: p.version.clone(),
        sha: p.sha.clone(),
    }
    .into()
}

fn aborted(rollout: &Rollout, why: impl Into<String>, by: impl Into<Actor>) -> Said {
    let (deployment, sha) = (rollout.planned.deployment.clone(), rollout.planned.sha.clone());
    RolloutAborted { deployment, why: why.into(), by: by.into(), sha }.into()
}

/// A bad verdict and what follows from it; the verdict is said once, also when the program ended in between.
fn condemned(rollout: &Rollout, verdict: VerdictReached, by: &str) -> Vec<Said> {
    let known = rollout.verdict.as_ref().is_some_and(|v| v.outcome == VerdictOutcome::Bad);
    let why = verdict.sentence.clone();
    let said = (!known).then(|| verdict.into());
    said.into_iter().chain([aborted(rollout, why, by)]).collect()
}

/// What ends the rollout now, whatever step it is in.
fn failure(scene: &Scene<'_>, rollout: &Rollout) -> Option<Vec<Said>> {
    let new = &rollout.planned.version;
    if let Some((why, by)) = &rollout.abort_asked {
        return Some(vec![aborted(rollout, why.clone(), by.clone())]);
    }
    if let Some(why) = scene.state.quarantined.get(&rollout.planned.digest) {
        return Some(vec![aborted(rollout, format!("the artifact was quarantined: {why}"), ENGINE)]);
    }
    if let Some(crash) = scene.world.crashed.get(new) {
        if crash.fault == Fault::Surroundings {
            // What an earlier try lacked may be there by now.
            let of_this_try = rollout.started_at.is_none_or(|began| crash.at >= began);
            return of_this_try
                .then(|| vec![aborted(rollout, format!("version {new} cannot run: {}", crash.why), ENGINE)]);
        }
        let last = crash.last_lines.last().map_or_else(String::new, |line| format!("; last line: {line}"));
        let why = format!("version {new} does not stay up: {}{last}", crash.why);
        return Some(condemned(rollout, verdict(rollout, "health", &why), ENGINE));
    }
    if let Some(since) = scene.world.unready_since.get(new) {
        let deadline = scene.service.strategy.progress_deadline_ms;
        if scene.now.as_millisecond() - since.as_millisecond() >= deadline as i64 {
            let why = format!("version {new} was not ready within {}", human_ms(deadline));
            return Some(vec![aborted(rollout, why, ENGINE)]);
        }
    }
    let planned_for_this = scene.stable().is_none() || rollout.planned.steps == scene.service.strategy.sentences();
    if !planned_for_this {
        return Some(vec![aborted(rollout, "the strategy was changed while the rollout was under way", ENGINE)]);
    }
    judged_bad(rollout).or_else(|| analysis_failed(scene, rollout))
}

fn judged_bad(rollout: &Rollout) -> Option<Vec<Said>> {
    let judge = rollout.judge.as_ref().filter(|j| j.verdict() == Verdict::Bad)?;
    let combined = judge.combined();
    let shares = rollout.shares();
    let sentence = evidence::verdict_sentence(Verdict::Bad, &shares);
    let said = VerdictReached {
        ln_e: combined.ln_e,
        ln_threshold: combined.ln_bad_at,
        signals: shares,
        ..verdict(rollout, "sequential", &sentence)
    };
    Some(condemned(rollout, said, "judge:sequential"))
}

fn analysis_failed(scene: &Scene<'_>, rollout: &Rollout) -> Option<Vec<Said>> {
    for (name, phase) in [analysis_phase(scene, rollout), background_phase(scene, rollout)].into_iter().flatten() {
        let measured = || rollout.measured.iter().rev().find(|m| m.run == name);
        let last = measured().map_or_else(String::new, |m| format!("; {} measured {}", m.metric, m.value));
        match phase.0 {
            Phase::Failed => {
                let why = format!("analysis of {name} failed{last}");
                return Some(condemned(rollout, verdict(rollout, "conditions", &why), "judge:conditions"));
            }
            Phase::Error => {
                return Some(vec![aborted(rollout, format!("analysis of {name} could not be measured{last}"), ENGINE)]);
            }
            _ => {}
        }
    }
    None
}

fn verdict(rollout: &Rollout, judge: &str, sentence: &str) -> VerdictReached {
    let p = &rollout.planned;
    VerdictReached {
        deployment: p.deployment.clone(),
        service: p.service.clone(),
        environment: p.environment.clone(),
        version: p.version.clone(),
        sha: p.sha.clone(),
        judge: judge.to_owned(),
        outcome: VerdictOutcome::Bad,
        ln_e: 0.0,
        ln_threshold: 0.0,
        signals: vec![],
        sentence: sentence.to_owned(),
    }
}

/// Pause and resume, as asked for.
fn asked(scene: &Scene<'_>, rollout: &Rollout) -> Option<Said> {
    let (deployment, sha) = (rollout.planned.deployment.clone(), rollout.planned.sha.clone());
    if let Some((why, by)) = &rollout.pause_asked {
        return Some(RolloutPaused { deployment, why: why.clone(), by: by.clone(), sha }.into());
    }
    if let Some(by) = &rollout.resume_asked {
        return Some(RolloutResumed { deployment, by: by.clone(), sha }.into());
    }
    // A person who promotes with a reason goes on in spite of a freeze.
    let promote = rollout.promote.as_ref()?;
    let against = !rollout.overridden && scene.closed().is_some() && !promote.reason.is_empty();
    against.then(|| FreezeOverridden { deployment, reason: promote.reason.clone(), by: promote.by.clone() }.into())
}

/// Why the rollout may not move at all: a freeze or a window.
pub(super) fn frozen(scene: &Scene<'_>, rollout: &Rollout) -> Option<String> {
    scene.closed().filter(|_| !rollout.overridden)
}

/// Why the new version may not take all the traffic: the judge or an analysis has not cleared it. A person who asks for
/// the next step, or for all of them, takes that upon themselves.
pub(super) fn objection(scene: &Scene<'_>, rollout: &Rollout) -> Option<String> {
    if rollout.full || rollout.promote.is_some() || scene.service.strategy.method != Method::Canary {
        return None;
    }
    if judges(scene) {
        match &rollout.judge {
            None => return Some("the judge has seen no traffic on both versions yet".to_owned()),
            Some(judge) if judge.verdict() == Verdict::Undecided => return Some(evidence::missing_sentence(judge)),
            Some(_) => {}
        }
    }
    match background_phase(scene, rollout) {
        Some((name, (phase, Evidence::None))) if !phase.is_done() => {
            Some(format!("analysis of {name} has not measured anything yet"))
        }
        _ => None,
    }
}

/// Whether all that is left is to take all the traffic.
pub(super) fn is_cleared_for_all(scene: &Scene<'_>, rollout: &Rollout) -> bool {
    let done = rollout.full || rollout.step >= scene.service.strategy.steps.len();
    done && rollout.paused.is_none() && objection(scene, rollout).is_none() && frozen(scene, rollout).is_none()
}

fn forward(scene: &Scene<'_>, rollout: &Rollout) -> Vec<Said> {
    if scene.stable().is_none() {
        // A first deployment has nothing to be compared with and nothing to go back to.
        let whole = scene.share(&rollout.planned.version) == WEIGHT_TOTAL;
        return if whole { vec![take_over(scene, rollout)] } else { vec![] };
    }
    if rollout.paused.is_some() && rollout.promote.is_none() {
        return vec![];
    }
    if let Some(why) = frozen(scene, rollout) {
        return hold(rollout, why);
    }
    let strategy = &scene.service.strategy;
    let Some(step) = strategy.steps.get(rollout.step).filter(|_| !rollout.full) else {
        return last(scene, rollout);
    };
    match outcome(scene, rollout, step) {
        Progress::Done => vec![step_finished(rollout, step)],
        Progress::Paused(why) if rollout.paused.is_none() => {
            let (deployment, sha) = (rollout.planned.deployment.clone(), rollout.planned.sha.clone());
            vec![RolloutPaused { deployment, why, by: ENGINE.into(), sha }.into()]
        }
        Progress::Held(why) => hold(rollout, why),
        Progress::Waiting | Progress::Paused(_) => goes_on(rollout),
    }
}

/// All steps are done: take over, or wait for whoever has not agreed.
fn last(scene: &Scene<'_>, rollout: &Rollout) -> Vec<Said> {
    if let Some(why) = objection(scene, rollout) {
        return hold(rollout, why);
    }
    let new = &rollout.planned.version;
    let whole = scene.share(new) == WEIGHT_TOTAL && scene.ready(new) >= scene.replicas();
    if whole { vec![take_over(scene, rollout)] } else { goes_on(rollout) }
}

enum Progress {
    Done,
    Waiting,
    Paused(String),
    Held(String),
}

fn outcome(scene: &Scene<'_>, rollout: &Rollout, step: &Step) -> Progress {
    let new = &rollout.planned.version;
    if rollout.promote.is_some() {
        return Progress::Done;
    }
    if let Some(("background analysis", (Phase::Inconclusive, _))) =
        background_phase(scene, rollout).as_ref().map(|(n, p)| (n.as_str(), *p))
        && !rollout.background_waived
    {
        return Progress::Paused("background analysis is inconclusive".to_owned());
    }
    match step {
        Step::SetWeight(weight) => {
            if *weight == WEIGHT_TOTAL
                && let Some(why) = objection(scene, rollout)
            {
                return Progress::Held(why);
            }
            done(scene.share(new) == *weight)
        }
        Step::Pause(None) if rollout.pause_ended => Progress::Done,
        Step::Pause(None) => Progress::Paused("the strategy waits for a person here".to_owned()),
        Step::Pause(Some(ms)) => {
            let waited = scene.now.as_millisecond() - rollout.step_since().as_millisecond();
            done(rollout.pause_ended || waited >= *ms as i64)
        }
        Step::Analysis(_) => match analysis_phase(scene, rollout).map(|(_, phase)| phase.0) {
            Some(Phase::Successful) => Progress::Done,
            Some(Phase::Inconclusive) if rollout.pause_ended => Progress::Done,
            Some(Phase::Inconclusive) => Progress::Paused("the analysis of this step is inconclusive".to_owned()),
            _ => Progress::Waiting,
        },
        Step::CanaryScale(_) | Step::HeaderRoute { .. } | Step::Preview => done(in_place(scene)),
        Step::Switch => done(scene.share(new) == WEIGHT_TOTAL),
        Step::Roll | Step::Recreate => {
            let old_gone = scene.stable().is_none_or(|old| scene.running(&old.version) == 0);
            done(scene.share(new) == WEIGHT_TOTAL && scene.ready(new) >= scene.replicas() && old_gone)
        }
    }
}

fn done(is_done: bool) -> Progress {
    if is_done { Progress::Done } else { Progress::Waiting }
}

/// Whether instances and table are as they should be.
fn in_place(scene: &Scene<'_>) -> bool {
    let wanted = desired::desired(scene);
    let ready = wanted.instances.iter().all(|w| scene.ready(&w.placed.version) >= w.replicas);
    let served = match (desired::table(scene, &wanted), &scene.world.routed) {
        (Some((versions, rules)), Some(routed)) => versions == routed.versions && rules == routed.rules,
        _ => false,
    };
    ready && served
}

fn step_finished(rollout: &Rollout, step: &Step) -> Said {
    RolloutStepFinished {
        deployment: rollout.planned.deployment.clone(),
        index: rollout.step as u32,
        step: step.to_string(),
        sha: rollout.planned.sha.clone(),
    }
    .into()
}

/// Says why it waits, once per reason: numbers that count down are no new reason.
fn hold(rollout: &Rollout, why: String) -> Vec<Said> {
    let bare = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    if rollout.held.as_deref().is_some_and(|held| bare(held) == bare(&why)) {
        return vec![];
    }
    let (deployment, sha) = (rollout.planned.deployment.clone(), rollout.planned.sha.clone());
    vec![RolloutHeld { deployment, why, sha }.into()]
}

/// Nothing holds it any more.
fn goes_on(rollout: &Rollout) -> Vec<Said> {
    if rollout.held.is_none() {
        return vec![];
    }
    let (deployment, sha) = (rollout.planned.deployment.clone(), rollout.planned.sha.clone());
    vec![RolloutResumed { deployment, by: ENGINE.into(), sha }.into()]
}

fn take_over(scene: &Scene<'_>, rollout: &Rollout) -> Said {
    let p = &rollout.planned;
    let environment = Ref::to(p.environment.as_str());
    let (artifact_id, service, version) = (p.purl.clone(), p.service.clone(), p.version.clone());
    let (sha, deployment) = (p.sha.clone(), p.deployment.clone());
    match scene.stable() {
        None => ServiceDeployed { environment, artifact_id, service, version, sha, deployment }.into(),
        Some(old) => {
            let previous = Some(old.version.clone());
            ServiceUpgraded { environment, artifact_id, service, version, previous, sha, deployment }.into()
        }
    }
}

/// After taking over: the notes, then the end.
fn ending(scene: &Scene<'_>, rollout: &Rollout) -> Vec<Said> {
    let p = &rollout.planned;
    if !rollout.noted {
        let Some(markdown) = scene.world.notes.clone() else { return vec![] };
        return vec![
            ReleaseNotesPublished {
                deployment: p.deployment.clone(),
                service: p.service.clone(),
                version: p.version.clone(),
                sha: p.sha.clone(),
                markdown,
            }
            .into(),
        ];
    }
    let why = match (&rollout.verdict, &rollout.promote) {
        (_, Some(promote)) => format!("promoted by {}: {}", promote.by, promote.reason),
        (Some(verdict), None) => verdict.sentence.clone(),
        (None, None) if p.previous.is_none() => "first deployment".to_owned(),
        (None, None) => "all steps are done".to_owned(),
    };
    vec![finished(scene, rollout, RolloutOutcome::Promoted, why)]
}

fn finished(scene: &Scene<'_>, rollout: &Rollout, outcome: RolloutOutcome, why: String) -> Said {
    let p = &rollout.planned;
    let began = rollout.started_at.unwrap_or(rollout.planned_at);
    let (requests, bad) = scene.world.exposed.max(rollout.exposed);
    RolloutFinished {
        deployment: p.deployment.clone(),
        service: p.service.clone(),
        environment: p.environment.clone(),
        version: p.version.clone(),
        sha: p.sha.clone(),
        outcome,
        why,
        duration_ms: u64::try_from(scene.now.as_millisecond() - began.as_millisecond()).unwrap_or(0),
        exposed_requests: requests,
        exposed_bad: bad,
    }
    .into()
}

/// Turning back: traffic first, then the quarantine, then the end.
fn back(scene: &Scene<'_>, rollout: &Rollout) -> Vec<Said> {
    let p = &rollout.planned;
    let off = scene.share(&p.version) == 0;
    let needs_stable = scene.service.strategy.method == Method::Recreate;
    let restored = scene.stable().is_none_or(|s| !needs_stable || scene.share(&s.version) == WEIGHT_TOTAL);
    if scene.stable().is_some() && !(off && restored) {
        return vec![];
    }
    let bad = rollout.verdict.as_ref().filter(|v| v.outcome == VerdictOutcome::Bad);
    if let Some(verdict) = bad.filter(|_| !scene.state.quarantined.contains_key(&p.digest)) {
        return vec![
            ArtifactQuarantined {
                digest: p.digest.clone(),
                service: p.service.clone(),
                version: p.version.clone(),
                sha: p.sha.clone(),
                why: verdict.sentence.clone(),
                incident: None,
            }
            .into(),
        ];
    }
    let (outcome, why) = match (&rollout.aborted, &rollout.superseded) {
        (Some((why, by)), _) => {
            let seen = scene.world.exposed.0.max(rollout.exposed.0) > 0;
            let failed = by.as_str() == ENGINE && !seen;
            (if failed { RolloutOutcome::Failed } else { RolloutOutcome::RolledBack }, why.clone())
        }
        (None, Some(by)) => (RolloutOutcome::Superseded, format!("{by} takes its place")),
        (None, None) => return vec![],
    };
    vec![finished(scene, rollout, outcome, why)]
}

/// What the rollout needs somebody to look at or write.
pub(super) fn deeds(scene: &Scene<'_>) -> Vec<Deed> {
    let mut deeds = vec![];
    if let Some(pending) = scene.lane.pending.last() {
        let digest = &pending.request.digest;
        let open = scene.lane.rollout.is_none() && !scene.world.gate.contains_key(digest);
        let waits = scene.world.gate_waits.get(digest);
        if open && waits.is_none_or(|w| w.heard < scene.world.heard || w.at <= scene.now) {
            deeds.push(Deed::AskGate(digest.clone()));
        }
    }
    let Some(rollout) = &scene.lane.rollout else { return deeds };
    let (deployment, new) = (&rollout.planned.deployment, &rollout.planned.version);
    if rollout.took_over {
        if !rollout.noted && scene.world.notes.is_none() {
            deeds.push(Deed::WriteNotes(deployment.clone()));
        }
        return deeds;
    }
    if rollout.started_at.is_none() || rollout.is_turning_back() {
        return deeds;
    }
    let stable = scene.stable().map(|s| s.version.clone());
    deeds.push(Deed::Watch { deployment: deployment.clone(), canary: new.clone(), stable: stable.clone() });
    if let Some(stable) = stable.filter(|_| judges(scene) && rollout.judge.is_none() && scene.world.history.is_none()) {
        deeds.push(Deed::ReadHistory { stable });
    }
    deeds.extend(due_metrics(scene, rollout));
    deeds
}

/// Whether a version took over within this time.
pub(super) fn promoted_within(placed: &Placed, window: Duration, now: Timestamp) -> bool {
    let age_ms = now.as_millisecond() - placed.since.as_millisecond();
    age_ms <= i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}
