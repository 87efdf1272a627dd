//! Whether an automatic rollback may be requested. Every refusal has a reason that people read.

use super::rank::{LIKELY, Ranking};
use crate::config::{Config, RollbackPolicy};
use crate::state::{Apply, Incident, LoopState, Release, is_reversible};
use jiff::{SignedDuration, Timestamp};
use lem_model::EnvironmentName;
use lem_model::port::Scope;

/// What to do about a named cause.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Roll the release back.
    RollBack {
        /// Rollout to take off.
        deployment: lem_model::DeploymentId,
    },
    /// Nothing is left to do: the release is off traffic already.
    AlreadyOff,
    /// Ask whether what exists is what was applied: an apply is never taken back automatically.
    CheckDrift {
        /// Environment of the apply.
        environment: EnvironmentName,
        /// Why nothing more is done.
        why: String,
    },
    /// Do not act, and say why.
    Refuse(String),
}

/// Decides. `stopped` is the kill switch.
pub fn decide(
    state: &LoopState,
    incident: &Incident,
    ranking: &Ranking,
    config: &Config,
    stopped: Option<&str>,
    now: Timestamp,
) -> Decision {
    let refuse = |why: &str| Decision::Refuse(why.to_owned());
    let Some(cause) = ranking.named() else { return refuse("no recorded change explains the symptom") };
    if let Some(apply) = cause.apply.as_ref().and_then(|id| state.applies.get(id)) {
        return about_apply(apply, stopped);
    }
    let release = cause.deployment.as_ref().and_then(|id| state.releases.get(id));
    let Some(release) = release else { return refuse("the likely cause is no release, so a rollback would not help") };
    if !release.serves_at(now) {
        return Decision::AlreadyOff;
    }
    if let Some(why) = stopped {
        return Decision::Refuse(format!("automatic actions are switched off: {why}"));
    }
    match config.rollback {
        RollbackPolicy::Automatic => {}
        RollbackPolicy::Ask => return refuse("the policy is to ask: a person decides about the rollback"),
        RollbackPolicy::Off => return refuse("the policy forbids automatic rollbacks"),
    }
    if cause.confidence < LIKELY {
        return Decision::Refuse(format!("confidence {:.2} is below {LIKELY}", cause.confidence));
    }
    if !ranking.blind_spots.is_empty() {
        return Decision::Refuse(format!("the data is incomplete: {}", ranking.blind_spots.join("; ")));
    }
    if !incident.actions.is_empty() {
        return refuse("this incident had its one automatic action");
    }
    unsafe_rollback(state, release, config, now)
        .map_or_else(|| Decision::RollBack { deployment: release.plan.deployment.clone() }, Decision::Refuse)
}

fn about_apply(apply: &Apply, stopped: Option<&str>) -> Decision {
    if let Some(why) = stopped {
        return Decision::Refuse(format!("automatic actions are switched off: {why}"));
    }
    let back = if apply.fact.irreversible { "it destroyed what no later apply brings back; " } else { "" };
    let why = format!(
        "the named cause is an apply, which is never taken back automatically; {back}a check for drift in {} was asked for",
        apply.fact.environment
    );
    Decision::CheckDrift { environment: apply.fact.environment.clone(), why }
}

fn unsafe_rollback(state: &LoopState, release: &Release, config: &Config, now: Timestamp) -> Option<String> {
    if !is_reversible(release.plan.migration) {
        return Some(format!("{} carries a migration that cannot be taken back", release.plan.version));
    }
    let Some(target) = &release.plan.rollback_to else {
        return Some(format!("there is no verified version of {} to go back to", release.plan.service));
    };
    if *target == release.plan.version {
        let service = &release.plan.service;
        return Some(format!("only the configuration of {service} changed: take that change back in its file"));
    }
    if let Some(apply) = irreversible_since(state, release) {
        let (root, environment) = (&apply.fact.root, &apply.fact.environment);
        return Some(format!(
            "{target} last ran before the apply of {root} in {environment}, which destroyed what no later apply brings back"
        ));
    }
    let scope: Scope = release.scope();
    if let Some(other) =
        state.releases_in(&scope).find(|r| r.in_flight() && r.plan.deployment != release.plan.deployment)
    {
        return Some(format!("the rollout of {} is in flight", other.plan.version));
    }
    let hour_ago = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let taken = state.actions_since(&release.plan.service, hour_ago);
    (taken >= config.hourly_limit as usize).then(|| {
        format!("{taken} automatic actions on {} within the hour; the limit is {}", scope.service, config.hourly_limit)
    })
}

/// An irreversible apply under the release's feet since its rollout began: the version before it never ran on what is
/// there now.
fn irreversible_since<'a>(state: &'a LoopState, release: &Release) -> Option<&'a Apply> {
    let began = release.started_at.unwrap_or(release.planned_at);
    let below = |a: &&Apply| {
        let fact = &a.fact;
        fact.environment == release.plan.environment
            && (fact.services.is_empty() || fact.services.iter().any(|s| s == release.plan.service.as_str()))
    };
    state.applies.values().filter(below).find(|a| a.fact.irreversible && a.at >= began)
}
