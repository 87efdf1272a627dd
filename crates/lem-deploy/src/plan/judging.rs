//! Evidence: what was counted and measured becomes facts, and facts become a verdict.

use super::release::judges;
use super::{Deed, MeasuredNow, Scene};
use crate::config::JudgeKind;
use crate::events::{AnalysisMeasured, EvidenceRecorded, JudgeStarted, Said, VerdictOutcome, VerdictReached};
use crate::evidence;
use crate::model::{Analysis, Step};
use crate::state::Rollout;
use lem_engine_judge::analysis::{Evidence, Phase, Run};
use lem_engine_judge::condition::Phase as Measurement;
use lem_engine_judge::sequential::{Judge, Verdict};

/// Name of the background analysis.
pub(super) const BACKGROUND: &str = "background analysis";

/// A judge that takes its place, an interval of evidence, measurements.
pub(super) fn judge_said(scene: &Scene<'_>, rollout: &Rollout) -> Vec<Said> {
    if let Some(said) = judge_started(scene, rollout) {
        return vec![said];
    }
    let mut said = vec![];
    let interval = scene.world.interval.as_ref().filter(|i| i.deployment == rollout.planned.deployment);
    if let (Some(interval), Some(judge)) = (interval, &rollout.judge) {
        let mut judge = judge.clone();
        judge.fold(&evidence::interval(&judge, &interval.counts));
        let combined = judge.combined();
        let needed = if judge.verdict() == Verdict::Undecided { judge.needed_to_clear() } else { None };
        said.push(
            EvidenceRecorded {
                deployment: interval.deployment.clone(),
                from: interval.from,
                to: interval.to,
                counts: interval.counts.clone(),
                ln_e: combined.ln_e,
                ln_e_promote: combined.ln_e_promote,
                needed,
                sha: rollout.planned.sha.clone(),
            }
            .into(),
        );
    }
    let mine = scene.world.measured.iter().filter(|m| m.deployment == rollout.planned.deployment);
    said.extend(mine.map(|m| measured(rollout, m)));
    said
}

fn measured(rollout: &Rollout, m: &MeasuredNow) -> Said {
    let phase = match m.phase {
        Measurement::Successful => "successful",
        Measurement::Failed => "failed",
        Measurement::Inconclusive => "inconclusive",
        Measurement::Error => "error",
    };
    AnalysisMeasured {
        deployment: m.deployment.clone(),
        run: m.run.clone(),
        metric: m.metric.clone(),
        query: m.query.clone(),
        value: m.value.clone(),
        phase: phase.to_owned(),
        why: m.why.clone(),
        sha: rollout.planned.sha.clone(),
    }
    .into()
}

/// The judge takes its place when both versions have traffic for the first time.
fn judge_started(scene: &Scene<'_>, rollout: &Rollout) -> Option<Said> {
    let JudgeKind::Sequential { settings, .. } = &scene.service.judge else { return None };
    let both = scene.share(&rollout.planned.version) > 0;
    if rollout.judge.is_some() || !both || !judges(scene) {
        return None;
    }
    let (history, sources) = (scene.world.history.as_ref()?, scene.world.sources?);
    let signals = evidence::signals(sources, history);
    let sentence = evidence::settings_sentence(settings, &signals, history);
    Some(
        JudgeStarted {
            deployment: rollout.planned.deployment.clone(),
            judge: scene.service.judge.name().to_owned(),
            settings: serde_json::to_value(settings).ok()?,
            signals: serde_json::to_value(&signals).ok()?,
            sentence,
            sha: rollout.planned.sha.clone(),
        }
        .into(),
    )
}

/// The good verdict, said once; the bad one ends the rollout and is said there.
pub(super) fn verdict_said(_scene: &Scene<'_>, rollout: &Rollout) -> Option<Said> {
    let judge: &Judge = rollout.judge.as_ref().filter(|j| j.verdict() == Verdict::Good)?;
    if rollout.verdict.is_some() {
        return None;
    }
    let (combined, shares, p) = (judge.combined(), rollout.shares(), &rollout.planned);
    Some(
        VerdictReached {
            deployment: p.deployment.clone(),
            service: p.service.clone(),
            environment: p.environment.clone(),
            version: p.version.clone(),
            sha: p.sha.clone(),
            judge: "sequential".to_owned(),
            outcome: VerdictOutcome::Good,
            ln_e: combined.ln_e_promote,
            ln_threshold: combined.ln_good_at,
            sentence: evidence::verdict_sentence(Verdict::Good, &shares),
            signals: shares,
        }
        .into(),
    )
}

fn run(rollout: &Rollout, name: &str, analysis: &Analysis, started_ms: i64) -> Run {
    let mut run = Run::new(analysis.metrics.iter().map(|m| m.limits.clone()).collect(), started_ms);
    for m in rollout.measured.iter().filter(|m| m.run == name) {
        run.fold(&m.metric, m.at_ms, m.phase);
    }
    run
}

/// The analysis of the current step, its name and run.
fn inline<'a>(scene: &Scene<'a>, rollout: &Rollout) -> Option<(String, &'a Analysis, Run)> {
    let Some(Step::Analysis(analysis)) = scene.service.strategy.steps.get(rollout.step) else { return None };
    if rollout.full {
        return None;
    }
    let name = format!("step {}", rollout.step + 1);
    let run = run(rollout, &name, analysis, rollout.step_since().as_millisecond());
    Some((name, analysis, run))
}

/// The background analysis, once its starting step was reached.
fn background<'a>(scene: &Scene<'a>, rollout: &Rollout) -> Option<(String, &'a Analysis, Run)> {
    let background = scene.service.strategy.background.as_ref()?;
    scene.stable()?;
    let started = rollout.step_times.get(background.starting_step)?;
    let run = run(rollout, BACKGROUND, &background.analysis, started.as_millisecond());
    Some((BACKGROUND.to_owned(), &background.analysis, run))
}

/// Name of the current step's analysis, its phase and whether anything was measured.
pub(super) fn analysis_phase(scene: &Scene<'_>, rollout: &Rollout) -> Option<(String, (Phase, Evidence))> {
    inline(scene, rollout).map(|(name, _, run)| (name, (run.phase(), run.evidence())))
}

/// The same of the background analysis.
pub(super) fn background_phase(scene: &Scene<'_>, rollout: &Rollout) -> Option<(String, (Phase, Evidence))> {
    background(scene, rollout).map(|(name, _, run)| (name, (run.phase(), run.evidence())))
}

/// Metrics that are due now.
pub(super) fn due_metrics(scene: &Scene<'_>, rollout: &Rollout) -> Vec<Deed> {
    let (new, stable) = (rollout.planned.version.as_str(), scene.stable().map_or("", |s| s.version.as_str()));
    let now_ms = scene.now.as_millisecond();
    let runs = [inline(scene, rollout), background(scene, rollout)];
    let mut deeds = vec![];
    for (name, analysis, run) in runs.into_iter().flatten() {
        for metric in run.due(now_ms) {
            let Some(found) = analysis.metrics.iter().find(|m| m.limits.name == metric) else { continue };
            deeds.push(Deed::Measure {
                deployment: rollout.planned.deployment.clone(),
                run: name.clone(),
                metric: metric.to_owned(),
                query: analysis.query(found, new, stable),
            });
        }
    }
    deeds
}
