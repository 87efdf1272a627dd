//! When promotion is allowed: Kargo promotion windows, freezes, the environment chain. Rollbacks never ask here.

mod window;

pub use window::{Kind, Window, read};

use crate::config::{Environment, Service};
use crate::state::{Artifact, Lane, Placed, State};
use jiff::Timestamp;
use lem_model::port::Scope;

/// Why promotion of a service in an environment is closed at a time, as a sentence; `None` when it is open.
pub fn closed(state: &State, service: &Service, scope: &Scope, now: Timestamp) -> Option<String> {
    let both = format!("{}/{}", scope.environment, scope.service);
    let running = state.freezes.iter().filter(|(_, freeze)| freeze.until.is_none_or(|until| now < until));
    let mut holding = running.filter(|(name, _)| {
        matches!(name.as_str(), "*")
            || **name == both
            || name.as_str() == scope.service.as_str()
            || name.as_str() == scope.environment.as_str()
    });
    if let Some((name, freeze)) = holding.next() {
        let until = freeze.until.map_or_else(String::new, |until| format!(" until {until}"));
        return Some(format!("{name} is frozen{until} by {}: {}", freeze.by, freeze.reason));
    }
    window::closed(&service.windows, scope.environment.as_str(), now)
}

/// The artifact that is due in an environment: the newest of a successful run on the watched branch for the first
/// environment, the newest verified one of the stages before it for the others.
pub fn due(
    state: &State,
    service: &Service,
    environment: &Environment,
    branch: Option<&str>,
    now: Timestamp,
) -> Option<Artifact> {
    if environment.from.is_empty() {
        let first = service.environments.first().is_some_and(|e| e.name == environment.name);
        return first.then(|| newest(state, service, branch)).flatten();
    }
    let stages: Vec<&Placed> = environment
        .from
        .iter()
        .map(|from| {
            let scope = Scope { service: service.name.clone(), environment: from.stage.clone() };
            let stable = verified(state.lanes.get(&scope)?)?;
            let soak = jiff::SignedDuration::try_from(from.soak).ok()?;
            (stable.since.checked_add(soak).ok()? <= now).then_some(stable)
        })
        .collect::<Option<_>>()?;
    let first = *stages.first()?;
    // All stages must have verified the same artifact.
    stages.iter().all(|p| p.digest == first.digest).then(|| Artifact {
        name: service.artifact.clone(),
        digest: first.digest.clone(),
        purl: first.purl.clone(),
        sha: first.sha.clone(),
    })
}

fn verified(lane: &Lane) -> Option<&Placed> {
    let stable = lane.stable.as_ref()?;
    // While a rollout or a rollback is under way the stage is about to change its mind.
    (lane.rollout.is_none() && lane.rollbacks.is_empty()).then_some(stable)
}

fn newest(state: &State, service: &Service, branch: Option<&str>) -> Option<Artifact> {
    let runs = state.succeeded.iter().rev().filter(|(_, _, on)| branch.is_none_or(|branch| branch == on));
    let mut with_artifact =
        runs.filter_map(|(run, ..)| state.artifacts.get(run)?.iter().rev().find(|a| a.name == service.artifact));
    with_artifact.next().cloned()
}
