//! Whether an automatic rollback may be requested. Every refusal has a reason that people read.

use super::rank::{LIKELY, Ranking};
use crate::config::{Config, RollbackPolicy};
use crate::state::{Incident, LoopState, Release, is_reversible};
use jiff::{SignedDuration, Timestamp};
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

fn unsafe_rollback(state: &LoopState, release: &Release, config: &Config, now: Timestamp) -> Option<String> {
    if !is_reversible(release.plan.migration) {
        return Some(format!("{} carries a migration that cannot be taken back", release.plan.version));
    }
    if release.plan.rollback_to.is_none() {
        return Some(format!("there is no verified version of {} to go back to", release.plan.service));
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
