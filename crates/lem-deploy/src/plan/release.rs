//! Requests that begin something: deployments that wait, rollbacks.

use super::Scene;
use super::rollout::promoted_within;
use crate::config::JudgeKind;
use crate::events::Ref;
use crate::events::{
    DeployRefused, ENGINE, FreezeOverridden, MigrationClass, ReleasePlanned, RollbackRefused, RolloutAborted,
    RolloutHeld, RolloutSuperseded, Said, ServiceRolledBack,
};
use crate::model::{Method, Step, WEIGHT_TOTAL};
use crate::state::{Pending, Placed};
use lem_model::fact::RollbackRequested;
use lem_model::port::GateAnswer;

/// Facts that answer what was asked, or nothing.
pub(super) fn requests(scene: &Scene<'_>) -> Vec<Said> {
    if let Some(request) = scene.lane.rollbacks.front() {
        return rollback(scene, request);
    }
    // A newer artifact takes the place of one that waits.
    if let Some(request) = super::due(scene) {
        return vec![request.into()];
    }
    if let Some(said) = oldest_superseded(scene) {
        return vec![said];
    }
    scene.lane.pending.last().map(|pending| deployment(scene, pending)).unwrap_or_default()
}

/// Of several that wait only the newest is deployed.
fn oldest_superseded(scene: &Scene<'_>) -> Option<Said> {
    let (newest, older) = scene.lane.pending.split_last()?;
    let first = older.first()?;
    Some(refused(first, format!("{} was asked for after it", newest.request.version)).into())
}

fn refused(pending: &Pending, why: String) -> DeployRefused {
    let r = &pending.request;
    DeployRefused {
        deployment: r.deployment.clone(),
        service: r.service.clone(),
        environment: r.environment.clone(),
        version: r.version.clone(),
        sha: r.sha.clone(),
        why,
    }
}

fn deployment(scene: &Scene<'_>, pending: &Pending) -> Vec<Said> {
    let request = &pending.request;
    if let Some(why) = refusal(scene, pending) {
        return vec![refused(pending, why).into()];
    }
    if let Some(running) = &scene.lane.rollout {
        if running.is_turning_back() || running.took_over {
            return vec![];
        }
        return vec![
            RolloutSuperseded {
                deployment: running.planned.deployment.clone(),
                by_deployment: request.deployment.clone(),
                sha: running.planned.sha.clone(),
            }
            .into(),
        ];
    }
    if let Some(why) = scene.closed()
        && !pending.overridden
    {
        return closed(pending, why);
    }
    if let Some(why) = contract_waits(scene) {
        return hold(pending, why);
    }
    match (scene.world.gate.get(&request.digest), scene.world.gate_waits.get(&request.digest)) {
        (Some(GateAnswer::Allow), _) => vec![planned(scene, pending).into()],
        (Some(GateAnswer::Deny(why)), _) => vec![refused(pending, format!("policy denies it: {why}")).into()],
        (None, Some(waits)) => hold(pending, waits.why.clone()),
        (None, None) => vec![],
    }
}

fn refusal(scene: &Scene<'_>, pending: &Pending) -> Option<String> {
    let request = &pending.request;
    if let Some(why) = scene.state.quarantined.get(&request.digest) {
        return Some(format!("artifact {} is quarantined: {why}", request.digest));
    }
    let stable = scene.stable()?;
    if stable.digest == request.digest {
        return Some(format!("version {} already runs with this artifact", stable.version));
    }
    if stable.version == request.version {
        return Some(format!("another artifact already runs as version {}", stable.version));
    }
    None
}

/// A closed window or freeze: waits, unless a person gave a reason to go on all the same.
fn closed(pending: &Pending, why: String) -> Vec<Said> {
    let request = &pending.request;
    let by_person = !request.by.as_str().starts_with("policy:") && !request.by.as_str().starts_with("engine:");
    match &request.reason {
        Some(reason) if by_person && !reason.is_empty() => vec![
            FreezeOverridden { deployment: request.deployment.clone(), reason: reason.clone(), by: request.by.clone() }
                .into(),
        ],
        _ => hold(pending, why),
    }
}

/// A contract migration removes what the version before needs: it waits until that one cannot come back.
fn contract_waits(scene: &Scene<'_>) -> Option<String> {
    let stable = scene.stable()?;
    let window = scene.service.rollback_window;
    let may_return = scene.lane.rollback_target().is_some() && promoted_within(stable, window, scene.now);
    (scene.service.migration == MigrationClass::Contract && may_return).then(|| {
        let window = crate::model::human_ms(window.as_millis() as u64);
        format!("a contract migration waits until version {} has stood for {window}", stable.version)
    })
}

fn hold(pending: &Pending, why: String) -> Vec<Said> {
    if pending.held.as_deref() == Some(&why) {
        return vec![];
    }
    let (deployment, sha) = (pending.request.deployment.clone(), pending.request.sha.clone());
    vec![RolloutHeld { deployment, why, sha }.into()]
}

fn planned(scene: &Scene<'_>, pending: &Pending) -> ReleasePlanned {
    let r = &pending.request;
    let stable = scene.stable();
    let name = &scene.service.artifact;
    ReleasePlanned {
        deployment: r.deployment.clone(),
        service: r.service.clone(),
        environment: r.environment.clone(),
        version: r.version.clone(),
        sha: r.sha.clone(),
        digest: r.digest.clone(),
        purl: pending.purl.clone().unwrap_or_else(|| format!("pkg:generic/{name}@{}?checksum={}", r.sha, r.digest)),
        config: scene.config.clone(),
        previous: stable.map(|s| s.version.clone()),
        previous_sha: stable.map(|s| s.sha.clone()),
        strategy: scene.service.strategy.method.name().to_owned(),
        steps: steps(scene),
        rollback_to: stable.map(|s| s.version.clone()),
        migration: scene.service.migration,
        by: r.by.clone(),
    }
}

/// The steps as sentences; what is skipped and who judges is said too.
fn steps(scene: &Scene<'_>) -> Vec<String> {
    let strategy = &scene.service.strategy;
    if scene.stable().is_none() && strategy.method != Method::Recreate {
        return vec!["first deployment: start it and send all traffic, steps and analysis are skipped".to_owned()];
    }
    strategy.sentences()
}

/// Whether the judge can see anything under a strategy: some step leaves traffic with both versions.
pub(super) fn judges(scene: &Scene<'_>) -> bool {
    let strategy = &scene.service.strategy;
    let both = |s: &Step| matches!(s, Step::SetWeight(w) if (1..WEIGHT_TOTAL).contains(w));
    matches!(scene.service.judge, JudgeKind::Sequential { .. })
        && strategy.method == Method::Canary
        && strategy.steps.iter().any(both)
        && scene.stable().is_some()
}

fn rollback(scene: &Scene<'_>, request: &RollbackRequested) -> Vec<Said> {
    // A rollback is heard in every state: a rollout under way turns back first.
    if let Some(running) = &scene.lane.rollout {
        if running.took_over || running.aborted.is_some() || running.superseded.is_some() {
            return vec![];
        }
        let by = request.by.clone();
        let why = format!("rollback was asked for: {}", request.reason);
        let (deployment, sha) = (running.planned.deployment.clone(), running.planned.sha.clone());
        return vec![RolloutAborted { deployment, why, by, sha }.into()];
    }
    match target(scene, request) {
        Err(why) => vec![
            RollbackRefused {
                service: request.service.clone(),
                environment: request.environment.clone(),
                why,
                incident: request.incident.clone(),
            }
            .into(),
        ],
        Ok((from, to)) if scene.share(&to.version) == WEIGHT_TOTAL => vec![rolled_back(request, from, to).into()],
        Ok(_) => vec![],
    }
}

/// What is taken off and what comes back, or why not.
pub(super) fn target<'a>(scene: &Scene<'a>, request: &RollbackRequested) -> Result<(&'a Placed, &'a Placed), String> {
    let lane = scene.lane;
    let stable = lane.stable.as_ref().ok_or("nothing runs here")?;
    if let Some(from) = request.from.as_ref().filter(|from| **from != stable.version) {
        return Err(format!("version {from} does not run here, {} does", stable.version));
    }
    let to = match &request.to {
        Some(to) => lane
            .verified
            .iter()
            .rev()
            .find(|p| p.version == *to && p.digest != stable.digest)
            .ok_or_else(|| format!("version {to} was never verified here"))?,
        None => lane.rollback_target().ok_or("there is no earlier verified version")?,
    };
    let newer = lane.verified.iter().rev().take_while(|p| p.digest != to.digest);
    if let Some(stuck) = newer.clone().find(|p| p.migration == MigrationClass::Irreversible) {
        return Err(format!("version {} changed data in a way that cannot be taken back", stuck.version));
    }
    if !promoted_within(stable, scene.service.rollback_window, scene.now) {
        let window = crate::model::human_ms(scene.service.rollback_window.as_millis() as u64);
        return Err(format!(
            "version {} took over more than {window} ago; deploy {} instead",
            stable.version, to.version
        ));
    }
    if newer.count() > scene.service.keep {
        return Err(format!("version {} is older than the {} versions that are kept", to.version, scene.service.keep));
    }
    if let Some(why) = scene.state.quarantined.get(&to.digest) {
        return Err(format!("artifact of version {} is quarantined: {why}", to.version));
    }
    if let Some(crash) = scene.world.crashed.get(&to.version) {
        return Err(format!("version {} does not start: {}", to.version, crash.why));
    }
    Ok((stable, to))
}

fn rolled_back(request: &RollbackRequested, from: &Placed, to: &Placed) -> ServiceRolledBack {
    ServiceRolledBack {
        environment: Ref::to(request.environment.as_str()),
        artifact_id: to.purl.clone(),
        service: request.service.clone(),
        version: to.version.clone(),
        from: from.version.clone(),
        sha: from.sha.clone(),
        deployment: from.deployment.clone(),
        why: request.reason.clone(),
        by: if request.by.is_empty() { ENGINE.into() } else { request.by.clone() },
        incident: request.incident.clone(),
    }
}
