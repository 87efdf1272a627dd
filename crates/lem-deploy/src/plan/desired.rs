//! What should run and what should be served, derived from the state; and the deeds that lead there.

use super::release::target;
use super::{Deed, Scene};
use crate::events::{RoutesApplied, Said, VersionWeight};
use crate::model::{CanaryScale, HeaderMatch, Method, Step, ValueMatch, WEIGHT_TOTAL};
use crate::state::{Left, Lingering, Placed, Rollout};
use lem_model::Version;
use std::net::SocketAddr;

/// Header by which the preview of a blue-green release is reached.
pub const PREVIEW_HEADER: &str = "x-release";

/// So many instances of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Version.
    pub placed: Placed,
    /// Instances.
    pub replicas: u32,
}

/// Requests that go to a version whatever its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Version.
    pub version: Version,
    /// Header conditions.
    pub matches: Vec<HeaderMatch>,
}

/// What should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Instances by version; what is not here ends.
    pub instances: Vec<Wanted>,
    /// Percent by version, stable first; empty: leave the table as it is.
    pub weights: Vec<(Version, u32)>,
    /// Exceptions.
    pub rules: Vec<Rule>,
}

/// What should be, by the state alone and what is ready for it.
pub fn desired(scene: &Scene<'_>) -> Desired {
    let mut desired = match &scene.lane.rollout {
        Some(rollout) if rollout.is_turning_back() => turning_back(scene, rollout),
        Some(rollout) if rollout.started_at.is_none() => settled(scene),
        Some(rollout) if !rollout.took_over => under_way(scene, rollout),
        _ => settled(scene),
    };
    for lingering in &scene.lane.lingering {
        let known = desired.instances.iter().any(|w| w.placed.version == lingering.placed.version);
        if !known && lingers(scene, lingering) {
            // As many as there are: nothing is started any more.
            let replicas = scene.running(&lingering.placed.version);
            desired.instances.push(Wanted { placed: lingering.placed.clone(), replicas });
        }
    }
    desired
}

fn lingers(scene: &Scene<'_>, lingering: &Lingering) -> bool {
    let strategy = &scene.service.strategy;
    let delay_ms = match lingering.how {
        Left::Replaced if matches!(strategy.method, Method::Recreate | Method::Rolling) => Some(0),
        Left::Replaced => Some(strategy.scale_down_delay_ms),
        Left::Aborted => strategy.abort_scale_down_delay_ms,
    };
    let age_ms = scene.now.as_millisecond() - lingering.since.as_millisecond();
    delay_ms.is_none_or(|delay| age_ms < delay as i64)
}

fn whole(scene: &Scene<'_>, placed: &Placed) -> Wanted {
    Wanted { placed: placed.clone(), replicas: scene.replicas() }
}

/// No rollout: the stable version, or the one a rollback brings back.
fn settled(scene: &Scene<'_>) -> Desired {
    let Some(stable) = scene.stable() else { return Desired::default() };
    let mut desired = Desired { instances: vec![whole(scene, stable)], ..Desired::default() };
    let mut serving = &stable.version;
    if let Some(Ok((_, to))) = scene.lane.rollbacks.front().map(|r| target(scene, r)) {
        desired.instances.push(whole(scene, to));
        if scene.ready(&to.version) >= scene.replicas() {
            serving = &to.version;
        }
    }
    desired.weights = vec![(serving.clone(), WEIGHT_TOTAL)];
    desired
}

/// Traffic goes back at once; the new version stays until the rollout is said to be over.
fn turning_back(scene: &Scene<'_>, rollout: &Rollout) -> Desired {
    let mut desired = settled(scene);
    let replicas = scene.running(&rollout.planned.version);
    desired.instances.push(Wanted { placed: rollout.placed(), replicas });
    desired
}

fn under_way(scene: &Scene<'_>, rollout: &Rollout) -> Desired {
    let new = rollout.placed();
    let Some(stable) = scene.stable() else {
        let weights = if scene.ready(&new.version) >= scene.replicas() {
            vec![(new.version.clone(), WEIGHT_TOTAL)]
        } else {
            vec![]
        };
        return Desired { instances: vec![whole(scene, &new)], weights, rules: vec![] };
    };
    match scene.service.strategy.method {
        Method::Recreate => recreate(scene, stable, new),
        Method::Rolling => rolling(scene, stable, new),
        Method::BlueGreen | Method::Canary => side_by_side(scene, rollout, stable, new),
    }
}

fn recreate(scene: &Scene<'_>, stable: &Placed, new: Placed) -> Desired {
    let old_runs = scene.world.instances.iter().any(|i| i.version == stable.version);
    if old_runs {
        return Desired { instances: vec![Wanted { placed: stable.clone(), replicas: 0 }], ..Desired::default() };
    }
    let ready = scene.ready(&new.version) >= scene.replicas();
    let weights = if ready { vec![(new.version.clone(), WEIGHT_TOTAL)] } else { vec![] };
    Desired { instances: vec![whole(scene, &new)], weights, rules: vec![] }
}

/// As a Deployment rolls: never more than replicas + surge, never fewer ready than replicas - unavailable.
fn rolling(scene: &Scene<'_>, stable: &Placed, new: Placed) -> Desired {
    let strategy = &scene.service.strategy;
    let replicas = scene.replicas();
    let surge = strategy.max_surge.up(replicas);
    let unavailable = if surge == 0 {
        strategy.max_unavailable.down(replicas).max(1)
    } else {
        strategy.max_unavailable.down(replicas)
    };
    let (old_runs, old_ready) = (scene.running(&stable.version), scene.ready(&stable.version));
    let (new_runs, new_ready) = (scene.running(&new.version), scene.ready(&new.version));
    let room = (replicas + surge).saturating_sub(old_runs + new_runs);
    let new_wanted = (new_runs + room).min(replicas);
    let spare = (old_ready + new_ready).saturating_sub(replicas.saturating_sub(unavailable));
    let broken = old_runs - old_ready.min(old_runs);
    let old_wanted = old_runs.saturating_sub(broken + spare.min(old_ready));
    let served = u64::from(old_wanted.min(old_ready) + new_ready).max(1);
    let new_weight = (u64::from(WEIGHT_TOTAL) * u64::from(new_ready) / served) as u32;
    let mut weights = vec![(stable.version.clone(), WEIGHT_TOTAL - new_weight), (new.version.clone(), new_weight)];
    weights.retain(|(_, weight)| *weight > 0);
    let instances =
        vec![Wanted { placed: stable.clone(), replicas: old_wanted }, Wanted { placed: new, replicas: new_wanted }];
    Desired { instances, weights, rules: vec![] }
}

fn side_by_side(scene: &Scene<'_>, rollout: &Rollout, stable: &Placed, new: Placed) -> Desired {
    let weight = weight(scene, rollout);
    let replicas = canary_replicas(scene, rollout, weight);
    let mut rules = rules(scene, rollout, &new.version);
    let ready = replicas > 0 && scene.ready(&new.version) >= replicas;
    let mut weights = vec![(stable.version.clone(), WEIGHT_TOTAL)];
    if ready {
        weights = vec![(stable.version.clone(), WEIGHT_TOTAL - weight), (new.version.clone(), weight)];
    } else if scene.ready(&new.version) > 0 && scene.share(&new.version) > 0 {
        // More instances are on their way: the share it has stays.
        let now = scene.share(&new.version).min(weight);
        weights = vec![(stable.version.clone(), WEIGHT_TOTAL - now), (new.version.clone(), now)];
    } else {
        rules.clear();
    }
    let mut instances = vec![whole(scene, stable)];
    if replicas > 0 {
        instances.push(Wanted { placed: new, replicas });
    }
    Desired { instances, weights, rules }
}

/// The new version's percent now: everything once all steps are done and nothing objects.
pub(super) fn weight(scene: &Scene<'_>, rollout: &Rollout) -> u32 {
    let strategy = &scene.service.strategy;
    if super::rollout::is_cleared_for_all(scene, rollout) {
        return WEIGHT_TOTAL;
    }
    let at = rollout.step.min(strategy.steps.len().saturating_sub(1));
    let reached = strategy.weight_at(at);
    // A step that would take all the traffic waits for the judge; until then the weight before it stands.
    let gated = strategy.steps.get(at).and_then(Step::weight) == Some(WEIGHT_TOTAL)
        && strategy.method == Method::Canary
        && super::rollout::objection(scene, rollout).is_some();
    let before = if at == 0 { 0 } else { strategy.weight_at(at - 1) };
    let held = strategy.steps.get(at).is_some_and(|s| s.weight().is_some())
        && super::rollout::frozen(scene, rollout).is_some();
    if gated || held { before } else { reached }
}

fn canary_replicas(scene: &Scene<'_>, rollout: &Rollout, weight: u32) -> u32 {
    let (strategy, replicas) = (&scene.service.strategy, scene.replicas());
    if strategy.method == Method::BlueGreen || weight == WEIGHT_TOTAL {
        return replicas;
    }
    let by = |percent: u32| (u64::from(replicas) * u64::from(percent)).div_ceil(u64::from(WEIGHT_TOTAL)) as u32;
    let mut reached = strategy.steps.iter().take(rollout.step + 1).rev();
    let scale = reached.find_map(|s| if let Step::CanaryScale(scale) = s { Some(*scale) } else { None });
    match scale {
        Some(CanaryScale::Replicas(n)) => n.min(crate::config::REPLICAS_MAX),
        Some(CanaryScale::Weight(percent)) => by(percent.min(WEIGHT_TOTAL)),
        Some(CanaryScale::MatchTrafficWeight) | None => by(weight),
    }
}

/// Header routes set up to the current step, and the preview.
fn rules(scene: &Scene<'_>, rollout: &Rollout, new: &Version) -> Vec<Rule> {
    let strategy = &scene.service.strategy;
    if strategy.method == Method::BlueGreen {
        let value = ValueMatch::Exact(new.to_string());
        let matches = vec![HeaderMatch { header: PREVIEW_HEADER.to_owned(), value }];
        return vec![Rule { version: new.clone(), matches }];
    }
    let mut named: Vec<(&str, Rule)> = vec![];
    for step in strategy.steps.iter().take(rollout.step + 1) {
        if let Step::HeaderRoute { name, matches } = step {
            named.retain(|(known, _)| known != name);
            if !matches.is_empty() {
                named.push((name, Rule { version: new.clone(), matches: matches.clone() }));
            }
        }
    }
    named.into_iter().map(|(_, rule)| rule).collect()
}

/// Addresses of a version's ready instances.
fn addresses(scene: &Scene<'_>, version: &Version) -> Vec<SocketAddr> {
    let mine = scene.world.instances.iter().filter(|i| i.version == *version);
    let mut found: Vec<SocketAddr> =
        mine.filter(|i| i.readiness == super::Readiness::Ready).map(|i| i.address).collect();
    found.sort_unstable();
    found
}

/// The table that should be served, or nothing when no version with a share can serve.
pub(super) fn table(scene: &Scene<'_>, desired: &Desired) -> Option<(Vec<(Version, Vec<SocketAddr>, u32)>, Vec<Rule>)> {
    let mut versions: Vec<_> = desired
        .weights
        .iter()
        .map(|(version, weight)| (version.clone(), addresses(scene, version), *weight))
        .filter(|(_, addresses, _)| !addresses.is_empty())
        .collect();
    for rule in &desired.rules {
        let addresses = addresses(scene, &rule.version);
        if !versions.iter().any(|(v, ..)| *v == rule.version) && !addresses.is_empty() {
            versions.push((rule.version.clone(), addresses, 0));
        }
    }
    if versions.iter().all(|(.., weight)| *weight == 0) {
        return None;
    }
    // A version that cannot serve leaves its part to the others: percent stay percent.
    let sum: u32 = versions.iter().map(|(.., w)| w).sum();
    if sum < WEIGHT_TOTAL
        && let Some(first) = versions.iter_mut().find(|(.., w)| *w > 0)
    {
        first.2 += WEIGHT_TOTAL - sum;
    }
    let rules = desired.rules.iter().filter(|r| versions.iter().any(|(v, ..)| *v == r.version)).cloned().collect();
    Some((versions, rules))
}

/// Records the weights in service when they are others than the last recorded ones.
pub(super) fn routes_said(scene: &Scene<'_>) -> Vec<Said> {
    let Some(routed) = &scene.world.routed else { return vec![] };
    let weights: Vec<VersionWeight> = routed
        .versions
        .iter()
        .filter(|(.., weight)| *weight > 0)
        .map(|(version, _, weight)| VersionWeight { version: version.clone(), weight: *weight })
        .collect();
    if weights == scene.lane.weights {
        return vec![];
    }
    vec![
        RoutesApplied {
            service: scene.scope.service.clone(),
            environment: scene.scope.environment.clone(),
            deployment: scene.lane.rollout.as_ref().map(|r| r.planned.deployment.clone()),
            weights,
            generation: routed.generation,
        }
        .into(),
    ]
}

pub(super) fn deeds(scene: &Scene<'_>) -> Vec<Deed> {
    let desired = desired(scene);
    let mut deeds = vec![];
    let table = table(scene, &desired);
    let routed = scene.world.routed.as_ref();
    let same = match (&table, routed) {
        (Some((versions, rules)), Some(routed)) => *versions == routed.versions && *rules == routed.rules,
        (None, _) => true,
        (Some(_), None) => false,
    };
    if !same && let Some((versions, rules)) = table {
        let rollout = scene.lane.rollout.as_ref().map(|r| &r.planned.deployment);
        let release = rollout.or(scene.stable().map(|s| &s.deployment)).map(ToString::to_string).unwrap_or_default();
        deeds.push(Deed::Route { release, versions, rules });
    }
    for wanted in &desired.instances {
        let version = &wanted.placed.version;
        let recreating = wanted.replicas == 0 && scene.service.strategy.method == Method::Recreate;
        if recreating {
            deeds.push(Deed::Retire(version.clone()));
        } else if scene.running(version) != wanted.replicas && !scene.world.crashed.contains_key(version) {
            deeds.push(Deed::Ensure(wanted.clone()));
        }
    }
    // What serves nothing any more and is not wanted ends; the table must be without it first.
    let mut gone: Vec<&Version> = scene.world.instances.iter().map(|i| &i.version).collect();
    gone.sort();
    gone.dedup();
    for version in gone {
        let wanted = desired.instances.iter().any(|w| w.placed.version == *version);
        let served = routed.is_some_and(|r| r.versions.iter().any(|(v, ..)| v == version));
        let runs = scene.running(version) > 0;
        if !wanted && !served && runs {
            deeds.push(Deed::Retire(version.clone()));
        }
    }
    deeds
}
