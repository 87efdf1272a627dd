//! DORA's five metrics from explicit links: commits by git range, failures by attribution, recovery by the confirming
//! event. Every number expands to its rows.

use super::stats::quantile;
use crate::state::{LoopState, Release, Standing};
use jiff::Timestamp;
use lem_model::port::Window;
use lem_model::{CommitSha, DeploymentId, EnvironmentName, IncidentId, ServiceName, Version};
use serde::Serialize;
use std::collections::BTreeSet;

/// A distribution, never a lone average.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// How many values.
    pub n: usize,
    /// Median, in seconds.
    pub median_s: Option<f64>,
    /// 90th percentile, in seconds.
    pub p90_s: Option<f64>,
}

impl Distribution {
    fn of(values: &[f64]) -> Self {
        Self { n: values.len(), median_s: quantile(values, 0.5), p90_s: quantile(values, 0.9) }
    }
}

/// A share with both its parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Counted.
    pub numerator: usize,
    /// Out of.
    pub denominator: usize,
    /// The share; `None` when there is nothing to divide by.
    pub value: Option<f64>,
}

impl Share {
    fn of(numerator: usize, denominator: usize) -> Self {
        let value = (denominator > 0).then(|| numerator as f64 / denominator as f64);
        Self { numerator, denominator, value }
    }
}

/// One deployment as the metrics count it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Rollout.
    pub deployment: DeploymentId,
    /// Service.
    pub service: ServiceName,
    /// Version.
    pub version: Version,
    /// Commit.
    pub sha: CommitSha,
    /// When its rollout began.
    pub at: Timestamp,
    /// Whether it took over all traffic.
    pub promoted: bool,
    /// Why it counts as failed, if it does.
    pub failed: Option<String>,
    /// Incident it caused, if one is linked.
    pub incident: Option<IncidentId>,
    /// From failure to restoration.
    pub recovery_s: Option<f64>,
    /// Lead times of the commits it shipped.
    pub lead_times_s: Vec<f64>,
}

/// The five metrics over a window, for one environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dora {
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
    /// Environment.
    pub environment: EnvironmentName,
    /// Deployments per day; a rollback is none.
    pub deployment_frequency_per_day: Option<f64>,
    /// Commit to healthy in the environment, per commit shipped.
    pub change_lead_time: Distribution,
    /// Deployments that needed immediate intervention, out of all.
    pub change_fail_rate: Share,
    /// Unplanned deployments an incident caused (rollbacks and fixes), out of all and them.
    pub deployment_rework_rate: Share,
    /// Failed deployment to restored service.
    pub failed_deployment_recovery_time: Distribution,
    /// The rows behind the numbers.
    pub deployments: Vec<Row>,
}

/// Computes the metrics of an environment over a window.
pub fn dora(state: &LoopState, environment: &EnvironmentName, window: Window) -> Dora {
    let within = |at: Timestamp| at > window.from && at <= window.to;
    let mut releases: Vec<&Release> = state
        .releases
        .values()
        .filter(|r| r.plan.environment == *environment && r.started_at.is_some_and(within))
        .filter(|r| is_new(state, r))
        .collect();
    releases.sort_by_key(|r| r.seq);
    let rows: Vec<Row> = releases.iter().map(|r| row(state, r)).collect();
    let rollbacks =
        state.rollbacks.iter().filter(|(at, f)| within(*at) && f.environment.id == environment.as_str()).count();
    let failed = rows.iter().filter(|r| r.failed.is_some()).count();
    let days = window.to.duration_since(window.from).as_secs_f64() / 86_400.0;
    let leads: Vec<f64> = rows.iter().flat_map(|r| r.lead_times_s.iter().copied()).collect();
    let recoveries: Vec<f64> = rows.iter().filter_map(|r| r.recovery_s).collect();
    let promoted = rows.iter().filter(|r| r.promoted).count();
    Dora {
        from: window.from,
        to: window.to,
        environment: environment.clone(),
        deployment_frequency_per_day: (days > 0.0).then(|| promoted as f64 / days),
        change_lead_time: Distribution::of(&leads),
        change_fail_rate: Share::of(failed, rows.len()),
        deployment_rework_rate: Share::of(rollbacks, rows.len() + rollbacks),
        failed_deployment_recovery_time: Distribution::of(&recoveries),
        deployments: rows,
    }
}

/// The same digest again with the same configuration is not a deployment.
fn is_new(state: &LoopState, release: &Release) -> bool {
    let earlier = state.releases_in_order(release).filter(|r| r.seq < release.seq && r.promoted_at.is_some()).last();
    earlier.is_none_or(|e| e.plan.digest != release.plan.digest || e.plan.config != release.plan.config)
}

impl LoopState {
    fn releases_in_order(&self, like: &Release) -> impl Iterator<Item = &Release> {
        let scope = like.scope();
        let mut found: Vec<_> = self.releases.values().filter(|r| r.scope() == scope).collect();
        found.sort_by_key(|r| r.seq);
        found.into_iter()
    }
}

fn row(state: &LoopState, release: &Release) -> Row {
    let plan = &release.plan;
    let blamed = state.incidents.values().find(|incident| {
        incident.attribution.as_ref().is_some_and(|a| {
            let named = a.proposed.causes.first().and_then(|c| c.deployment.as_ref()) == Some(&plan.deployment);
            let counts =
                a.standing == Standing::Confirmed || (a.standing == Standing::Proposed && a.proposed.level == "likely");
            named && counts
        })
    });
    let judged_bad = release.verdict.as_ref().filter(|(_, v)| v.outcome == lem_model::fact::VerdictOutcome::Bad);
    let failed = blamed
        .map(|i| format!("incident {}: {}", i.detected.incident, i.detected.title))
        .or_else(|| judged_bad.map(|(_, v)| v.sentence.clone()))
        .or_else(|| release.removed.as_ref().filter(|_| release.promoted_at.is_some()).map(|(_, why)| why.clone()));
    let began = blamed.map(|i| i.detected.since.unwrap_or(i.at)).or_else(|| judged_bad.map(|(at, _)| *at));
    let recovery_s = failed
        .as_ref()
        .and(began)
        .and_then(|began| release.removed.as_ref().map(|(at, _)| at.duration_since(began).as_secs_f64().max(0.0)));
    let lead_times_s = release.promoted_at.map_or_else(Vec::new, |healthy| lead_times(state, release, healthy));
    Row {
        deployment: plan.deployment.clone(),
        service: plan.service.clone(),
        version: plan.version.clone(),
        sha: plan.sha.clone(),
        at: release.started_at.unwrap_or(release.planned_at),
        promoted: release.promoted_at.is_some(),
        failed,
        incident: blamed.map(|i| i.detected.incident.clone()),
        recovery_s,
        lead_times_s,
    }
}

/// Commit to healthy, per commit between the previous deployed one and this one, along first parents.
fn lead_times(state: &LoopState, release: &Release, healthy: Timestamp) -> Vec<f64> {
    let mut seen = BTreeSet::new();
    let mut next = Some(release.plan.sha.clone());
    let mut times = vec![];
    while let Some(sha) = next.take() {
        if Some(&sha) == release.plan.previous_sha.as_ref() || !seen.insert(sha.clone()) {
            break;
        }
        let Some((_, change)) = state.changes.get(&sha) else { break };
        if let Some(committed) = change.committed_at {
            times.push(healthy.duration_since(committed).as_secs_f64().max(0.0));
        }
        next = change.parent.clone();
    }
    times
}
