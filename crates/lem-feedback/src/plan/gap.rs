//! The test that would have caught it: what an incident that is over teaches whoever assures quality.

use super::candidate::APPLY;
use crate::events::TestGapRaised;
use crate::state::{Incident, LoopState, Standing};
use lem_model::fact::RankedCause;
use std::collections::BTreeSet;

/// Paths listed in an item.
pub const MAX_PATHS: usize = 50;
/// Paths named in its sentence.
const NAMED: usize = 3;

/// The item, once the incident is over and its cause is proved; `None` before that, or when it was raised already.
pub fn test_gap(state: &LoopState, incident: &Incident) -> Option<TestGapRaised> {
    let scope = incident.scope()?;
    let attribution = incident.attribution.as_ref().filter(|a| a.standing == Standing::Confirmed)?;
    let cause = attribution.proposed.causes.first()?;
    if incident.resolved.is_none() || incident.test_gap.is_some() {
        return None;
    }
    let paths = paths(state, cause);
    let symptom = symptom(incident);
    Some(TestGapRaised {
        incident: incident.detected.incident.clone(),
        service: scope.service,
        environment: scope.environment,
        kind: cause.kind.clone(),
        sha: cause.sha.clone(),
        wanted: wanted(cause, &paths, &symptom),
        paths,
        symptom,
    })
}

/// The sentence of the item, whether or not it was raised yet; `None` while no cause is named.
pub fn wanted_for(state: &LoopState, incident: &Incident) -> Option<String> {
    let named =
        incident.attribution.as_ref().filter(|a| matches!(a.standing, Standing::Confirmed | Standing::Proposed))?;
    let cause = named.proposed.causes.first()?;
    Some(wanted(cause, &paths(state, cause), &symptom(incident)))
}

/// Paths the change touched: files of the commit, or places of the applied configuration.
pub fn paths(state: &LoopState, cause: &RankedCause) -> Vec<String> {
    let commit = cause.sha.as_ref().and_then(|sha| state.changes.get(sha)).map(|(_, change)| &change.files);
    let applied = cause.apply.as_ref().and_then(|id| state.applies.get(id)).map(|a| &a.fact.changes);
    let files = commit.into_iter().flatten().map(|f| f.path.as_str());
    let places = applied.into_iter().flatten().filter_map(|c| c.place.split(':').next());
    let all: BTreeSet<&str> = files.chain(places).filter(|p| !p.is_empty()).collect();
    all.into_iter().take(MAX_PATHS).map(str::to_owned).collect()
}

fn symptom(incident: &Incident) -> String {
    let detected = &incident.detected;
    match &detected.description {
        Some(description) if !description.is_empty() && *description != detected.title => {
            format!("{}: {description}", detected.title)
        }
        _ => detected.title.clone(),
    }
}

fn wanted(cause: &RankedCause, paths: &[String], symptom: &str) -> String {
    let what = match paths {
        [] => cause.name.clone(),
        some if some.len() <= NAMED => some.join(", "),
        some => format!("{} and {} more", some[..NAMED].join(", "), some.len() - NAMED),
    };
    let kind = if cause.kind == APPLY { "a check of the plan" } else { "a test" };
    format!("{kind} of {what} that fails on: {symptom}")
}
