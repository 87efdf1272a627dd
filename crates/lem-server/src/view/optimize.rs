//! The page of the optimize stage.

use crate::dto::{
    BudgetRow, CostRow, MovedBy, OptimizeView, PipelineCost, RecommendationRow, SlowStep, State, Unpriced,
};
use crate::port::{Budget, Costs};
use crate::record::{Advice, At, Record};
use lem_model::fact::CostEstimated;
use lem_model::money::Money;
use std::collections::BTreeMap;

/// What a budget without an environment is for.
pub const EVERYWHERE: &str = "every environment";
/// Runs a pipeline's medians look back on.
const RUNS_LOOKED_AT: usize = 50;
/// Slowest steps that are shown.
const SLOWEST_SHOWN: usize = 5;

/// The page: what the ledger says, with what only the stage knows.
pub fn optimize(record: &Record, costs: Costs) -> OptimizeView {
    let newest = record.stages.newest_costs();
    let recorded: Vec<CostRow> = newest.iter().map(|(name, cost)| environment(record, name, cost)).collect();
    let unpriced = newest.values().flat_map(|c| &c.fact.unknown);
    let unpriced = unpriced.map(|u| Unpriced { address: u.address.clone(), reason: u.reason.clone() });
    let recorded_total = total(newest.values().map(|c| &c.fact.after));
    let budgets = budgets(record, &costs, &newest);
    OptimizeView {
        prices: costs.prices,
        prices_age_days: costs.prices_age_days,
        monthly: costs.monthly.as_ref().or(recorded_total.as_ref()).map(Into::into),
        // The ledger knows what its own environments cost before, and nothing of the other folders.
        monthly_before: total(newest.values().map(|c| &c.fact.before))
            .filter(|_| costs.monthly.is_none() || costs.monthly == recorded_total)
            .as_ref()
            .map(Into::into),
        by_service: costs.by_service,
        by_team: costs.by_team,
        unpriced: if costs.monthly.is_some() { costs.unpriced } else { unpriced.collect() },
        by_environment: if costs.monthly.is_some() { with_moves(costs.by_environment, recorded) } else { recorded },
        budgets,
        recommendations: record.stages.advice.values().rev().map(recommendation).collect(),
        pipelines: pipelines(record),
    }
}

/// What the files cost now, with what the ledger says of how it came about.
fn with_moves(now: Vec<CostRow>, recorded: Vec<CostRow>) -> Vec<CostRow> {
    let mut recorded: BTreeMap<String, CostRow> = recorded.into_iter().map(|r| (r.name.clone(), r)).collect();
    let mut rows: Vec<CostRow> = now
        .into_iter()
        .map(|row| match recorded.remove(&row.name) {
            Some(told) => CostRow { before: told.before, moved: told.moved, ..row },
            None => row,
        })
        .collect();
    rows.extend(recorded.into_values());
    rows
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

fn budgets(record: &Record, costs: &Costs, newest: &BTreeMap<String, &At<CostEstimated>>) -> Vec<BudgetRow> {
    costs
        .budgets
        .iter()
        .map(|Budget { name: budget, environment, limit, known }| {
            // Where the files say nothing, what was planned last stands.
            let recorded = || newest.get(environment).map(|c| c.fact.after.clone());
            let estimate = known.clone().or_else(recorded);
            let (state, sentence) = match &estimate {
                None => (State::Unknown, format!("Nothing of {environment} was estimated yet.")),
                Some(e) if e.currency != limit.currency => {
                    (State::Unknown, format!("{e} and {limit} are not in one currency."))
                }
                Some(e) if e.amount > limit.amount => (State::Bad, format!("{e} a month is over {limit}.")),
                Some(e) => (State::Ok, format!("{e} of {limit} a month.")),
            };
            let seq = record.stages.budgets.get(budget).map(|b| b.seq).or(newest.get(environment).map(|c| c.seq));
            BudgetRow {
                budget: budget.clone(),
                environment: environment.clone(),
                limit: limit.into(),
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
