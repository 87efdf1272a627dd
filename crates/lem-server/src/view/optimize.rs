//! The page of the optimize stage.

use crate::dto::{
    BudgetRow, CostRow, MovedBy, OptimizeView, PipelineCost, RecommendationRow, SlowStep, State, Unpriced,
};
use crate::port::Costs;
use crate::record::{Advice, At, Record};
use lem_model::fact::CostEstimated;
use lem_model::money::Money;
use std::collections::BTreeMap;

/// Runs a pipeline's medians look back on.
const RUNS_LOOKED_AT: usize = 50;
/// Slowest steps that are shown.
const SLOWEST_SHOWN: usize = 5;

/// The page: what the ledger says, with what only the stage knows.
pub fn optimize(record: &Record, costs: Costs) -> OptimizeView {
    let newest = record.stages.newest_costs();
    let by_environment: Vec<CostRow> = newest.iter().map(|(name, cost)| environment(record, name, cost)).collect();
    let unpriced = newest.values().flat_map(|c| &c.fact.unknown);
    OptimizeView {
        prices: costs.prices,
        prices_age_days: costs.prices_age_days,
        monthly: total(newest.values().map(|c| &c.fact.after)).as_ref().map(Into::into),
        monthly_before: total(newest.values().map(|c| &c.fact.before)).as_ref().map(Into::into),
        by_service: costs.by_service,
        by_team: costs.by_team,
        by_environment,
        unpriced: unpriced.map(|u| Unpriced { address: u.address.clone(), reason: u.reason.clone() }).collect(),
        budgets: budgets(record, costs.budgets, &newest),
        recommendations: record.stages.advice.values().rev().map(recommendation).collect(),
        pipelines: pipelines(record),
    }
}

/// The sum, when there is one and all of it is in one currency.
pub(crate) fn total<'a>(mut all: impl Iterator<Item = &'a Money>) -> Option<Money> {
    let first = all.next()?.clone();
    all.try_fold(first, |sum, money| sum.plus(money))
}

fn environment(record: &Record, name: &str, cost: &At<CostEstimated>) -> CostRow {
    let (before, after) = (&cost.fact.before, &cost.fact.after);
    let moved = (before != after).then(|| {
        let sha = cost.fact.sha.as_ref().map(ToString::to_string);
        let what = sha.as_deref().and_then(|s| record.subject(s)).unwrap_or_else(|| "a plan".into());
        MovedBy { sentence: format!("{what}: {before} to {after}"), sha, seq: cost.seq }
    });
    CostRow {
        name: name.to_owned(),
        monthly: Some(after.into()),
        before: Some(before.into()),
        unpriced: cost.fact.unknown.len() as u64,
        moved,
    }
}

fn budgets(
    record: &Record,
    all: Vec<(String, String, Money)>,
    newest: &BTreeMap<String, &At<CostEstimated>>,
) -> Vec<BudgetRow> {
    all.into_iter()
        .map(|(budget, environment, limit)| {
            let estimate = newest.get(&environment).map(|c| c.fact.after.clone());
            let (state, sentence) = match &estimate {
                None => (State::Unknown, format!("Nothing of {environment} was estimated yet.")),
                Some(e) if e.currency != limit.currency => {
                    (State::Unknown, format!("{e} and {limit} are not in one currency."))
                }
                Some(e) if e.amount > limit.amount => (State::Bad, format!("{e} a month is over {limit}.")),
                Some(e) => (State::Ok, format!("{e} of {limit} a month.")),
            };
            let seq = record.stages.budgets.get(&budget).map(|b| b.seq).or(newest.get(&environment).map(|c| c.seq));
            BudgetRow {
                budget,
                environment,
                limit: (&limit).into(),
                estimate: estimate.as_ref().map(Into::into),
                state,
                sentence,
                seq,
            }
        })
        .collect()
}

fn recommendation(advice: &Advice) -> RecommendationRow {
    let fact = &advice.created.fact;
    RecommendationRow {
        recommendation: fact.recommendation.clone(),
        kind: fact.kind.clone(),
        target: fact.target.clone(),
        environment: fact.environment.as_ref().map(ToString::to_string),
        service: fact.service.as_ref().map(ToString::to_string),
        standing: advice.standing().into(),
        standing_why: advice.moved.as_ref().map(|m| m.fact.why.clone()),
        sentence: fact.sentence.clone(),
        evidence: fact.evidence.clone(),
        risk: fact.risk.clone(),
        delta: fact.monthly_delta.as_ref().map(Into::into),
        patch: fact.patch.clone(),
        cause: fact.cause.clone(),
        at: advice.created.at.into(),
        seq: advice.moved.as_ref().map_or(advice.created.seq, |m| m.seq),
    }
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// What each pipeline takes, over its newest runs.
fn pipelines(record: &Record) -> Vec<PipelineCost> {
    let mut by_name: BTreeMap<&str, Vec<&crate::record::Run>> = BTreeMap::new();
    for run in record.runs.values().rev().filter(|r| r.finished.is_some()) {
        let runs = by_name.entry(run.queued.fact.pipeline_name.as_str()).or_default();
        if runs.len() < RUNS_LOOKED_AT {
            runs.push(run);
        }
    }
    by_name
        .into_iter()
        .map(|(workflow, runs)| {
            let durations: Vec<u64> =
                runs.iter().filter_map(|r| r.finished.as_ref().map(|f| f.fact.duration_ms)).collect();
            let total = durations.iter().sum::<u64>().max(1) as f64 / durations.len().max(1) as f64;
            PipelineCost {
                workflow: workflow.to_owned(),
                runs: runs.len() as u64,
                median_ms: median(durations),
                critical_path: runs.first().map(|r| critical_path(r)).unwrap_or_default(),
                slowest: slowest(&runs, total),
            }
        })
        .collect()
}

/// The chain of jobs, each waiting for the one before, that took longest.
fn critical_path(run: &crate::record::Run) -> Vec<String> {
    let took = |job: &str| run.jobs_finished.get(job).map_or(0, |j| j.fact.duration_ms);
    let mut best: BTreeMap<&str, (u64, Option<&str>)> = BTreeMap::new();
    // Jobs are planned in an order in which what a job needs stands before it, or is settled by another pass.
    for _ in 0..run.queued.fact.jobs.len() {
        for planned in &run.queued.fact.jobs {
            let before = planned.needs.iter().filter_map(|n| best.get(n.as_str()).map(|(t, _)| (*t, n.as_str()))).max();
            let time = took(&planned.job) + before.map_or(0, |(t, _)| t);
            best.insert(&planned.job, (time, before.map(|(_, n)| n)));
        }
    }
    let mut at = best.iter().max_by_key(|(_, (time, _))| *time).map(|(job, _)| *job);
    let mut path = vec![];
    while let Some(job) = at.filter(|_| path.len() <= best.len()) {
        path.push(job.to_owned());
        at = best.get(job).and_then(|(_, before)| *before);
    }
    path.reverse();
    path
}

fn slowest(runs: &[&crate::record::Run], total: f64) -> Vec<SlowStep> {
    let mut times: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for step in runs.iter().flat_map(|r| r.steps.values().flatten()).filter(|s| !s.skipped) {
        times.entry((step.job.clone(), step.name.clone())).or_default().push(step.duration_ms);
    }
    let mut steps: Vec<SlowStep> = times
        .into_iter()
        .filter_map(|((job, step), all)| {
            let median_ms = median(all)?;
            Some(SlowStep { job, step, median_ms, share: median_ms as f64 / total })
        })
        .collect();
    steps.sort_by_key(|s| std::cmp::Reverse(s.median_ms));
    steps.truncate(SLOWEST_SHOWN);
    steps
}
