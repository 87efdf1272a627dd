//! Changes as a list and as a thread.

use crate::dto::{self, RunOutcome, RunState, State, StationId};
use crate::record::{Record, Rollout, Run, first_line};
use crate::view::counted;
use crate::view::{deploy, incident, run};
use lem_feedback::LoopState;
use lem_model::fact::RolloutOutcome;

/// Changes, newest first.
pub fn table(record: &Record, before: Option<u64>, limit: usize) -> Vec<dto::ChangeRow> {
    let changes = record.changes.iter().rev().filter(|(_, c)| before.is_none_or(|before| c.seq < before));
    changes.take(limit).filter_map(|(sha, _)| row(record, sha)).collect()
}

/// A change and where it is.
pub fn row(record: &Record, sha: &str) -> Option<dto::ChangeRow> {
    let change = record.changes.get(sha)?;
    let (station, state, sentence) = place(record, sha);
    Some(dto::ChangeRow {
        sha: sha.to_owned(),
        subject: first_line(&change.fact),
        author: change.fact.author.clone(),
        committed_at: change.fact.committed_at.map(Into::into),
        branch: change.fact.branch.clone(),
        station,
        state,
        sentence,
        at: record.touched.get(sha).copied().unwrap_or(change.at).into(),
        seq: change.seq,
    })
}

fn runs<'a>(record: &'a Record, sha: &'a str) -> impl DoubleEndedIterator<Item = &'a Run> {
    record.runs.values().filter(move |r| r.queued.fact.sha.as_str() == sha)
}

fn rollouts<'a>(record: &'a Record, sha: &'a str) -> impl DoubleEndedIterator<Item = &'a Rollout> {
    record.rollouts.values().filter(move |r| r.planned.fact.sha.as_str() == sha)
}

/// Where a change is: at its newest rollout, else at its runs, else nowhere yet.
pub fn place(record: &Record, sha: &str) -> (StationId, State, String) {
    if let Some(rollout) = rollouts(record, sha).next_back() {
        let plan = &rollout.planned.fact;
        let here = record.places.get(&(plan.service.to_string(), plan.environment.to_string()));
        let serves = here.is_some_and(|p| p.version.as_deref() == Some(plan.version.as_str()));
        let (state, sentence) = rollout_state(rollout);
        let at_rest = state == State::Ok && serves;
        return (if at_rest { StationId::Observe } else { StationId::Deploy }, state, sentence);
    }
    let all: Vec<_> = runs(record, sha).map(|r| run::row(record, r)).collect();
    if let Some(bad) = all.iter().rev().find(|r| r.outcome.is_some_and(|o| o != RunOutcome::Success)) {
        return (StationId::Pipeline, State::Bad, format!("{} ended in {}", bad.pipeline_name, word(bad.outcome)));
    }
    if let Some(open) = all.iter().rev().find(|r| r.state != RunState::Finished) {
        let (state, verb) = match open.state {
            RunState::Queued => (State::Waiting, "waits"),
            _ => (State::Running, "runs"),
        };
        return (StationId::Pipeline, state, format!("{} {verb}", open.pipeline_name));
    }
    let rejected = record.rejected.iter().rev().find(|r| r.fact.sha.as_str() == sha);
    if let Some(rejected) = rejected {
        return (StationId::Pipeline, State::Bad, format!("{} could not be planned", rejected.fact.file));
    }
    match all.last() {
        Some(run) => (StationId::Release, State::Ok, format!("{} succeeded", run.pipeline_name)),
        None => (StationId::Pipeline, State::Waiting, "merged; nothing ran yet".into()),
    }
}

fn word(outcome: Option<RunOutcome>) -> &'static str {
    match outcome {
        Some(RunOutcome::Success) => "success",
        Some(RunOutcome::Failure) => "failure",
        Some(RunOutcome::Cancel) => "cancellation",
        Some(RunOutcome::Error) => "an error",
        None => "nothing yet",
    }
}

/// A rollout in a state and a sentence.
pub fn rollout_state(rollout: &Rollout) -> (State, String) {
    let plan = &rollout.planned.fact;
    let what = format!("{} {} in {}", plan.service, plan.version, plan.environment);
    let (standing, why) = deploy::standing(rollout);
    let because = why.map(|w| format!(": {w}")).unwrap_or_default();
    let (state, words) = match standing {
        dto::RolloutState::Planned => (State::Waiting, "is planned"),
        dto::RolloutState::Progressing => (State::Running, "is rolling out"),
        dto::RolloutState::Held => (State::Waiting, "is held"),
        dto::RolloutState::Paused => (State::Waiting, "is paused"),
        dto::RolloutState::Aborting => (State::Bad, "is turning back"),
        dto::RolloutState::Promoted => (State::Ok, "was promoted"),
        dto::RolloutState::RolledBack => (State::Bad, "was rolled back"),
        dto::RolloutState::Superseded => (State::Unknown, "was superseded"),
        dto::RolloutState::Failed => (State::Bad, "failed"),
    };
    (state, format!("{what} {words}{because}"))
}

/// Whether a change is still on its way.
pub fn in_flight(record: &Record, sha: &str) -> bool {
    let run = runs(record, sha).any(|r| r.finished.is_none());
    let rollout = rollouts(record, sha).any(|r| r.finished.is_none());
    let new = runs(record, sha).next().is_none() && rollouts(record, sha).next().is_none();
    run || rollout || (new && record.rejected.iter().all(|r| r.fact.sha.as_str() != sha))
}

/// One change followed round the loop. The sha may be shortened as long as it is clear.
pub fn thread(record: &Record, state: &LoopState, sha: &str) -> Option<dto::ChangeThread> {
    let mut found = record.changes.keys().filter(|known| known.starts_with(sha));
    let sha = found.next().filter(|_| sha.len() >= 4)?.clone();
    let unclear = found.next().is_some();
    let change = record.changes.get(&sha).filter(|_| !unclear)?;
    let incidents = state.incidents.values().filter(|i| names(i, &sha));
    let incidents: Vec<_> = incidents.map(|i| incident::row(record, i)).collect();
    let named = |name: &str| incidents.iter().any(|i| i.incident == name);
    let reports = record.reports.iter().filter(|r| named(&r.fact.name)).map(|r| dto::ReportLink {
        kind: r.fact.kind.clone(),
        name: r.fact.name.clone(),
        href: r.fact.uri.clone(),
    });
    let files = change.fact.files.iter();
    let files = files.map(|f| dto::FileChange { path: f.path.clone(), added: f.added, removed: f.removed });
    Some(dto::ChangeThread {
        change: row(record, &sha)?,
        message: change.fact.message.clone(),
        files: files.collect(),
        files_omitted: change.fact.files_omitted,
        steps: steps(record, state, &sha),
        reports: reports.collect(),
        incidents,
    })
}

fn names(incident: &lem_feedback::state::Incident, sha: &str) -> bool {
    let causes = incident.attribution.iter().filter_map(|a| a.proposed.causes.first());
    causes.into_iter().any(|c| c.sha.as_ref().is_some_and(|s| s.as_str() == sha))
}

fn steps(record: &Record, state: &LoopState, sha: &str) -> Vec<dto::ThreadStep> {
    let mut steps = vec![];
    if let Some(change) = record.changes.get(sha) {
        let files = change.fact.files.len() + change.fact.files_omitted as usize;
        steps.push(dto::ThreadStep {
            station: StationId::Pipeline,
            title: "merged".into(),
            state: State::Ok,
            at: change.at.into(),
            sentence: format!(
                "{} merged {} to {}",
                change.fact.author,
                counted(files, "changed file", "changed files"),
                change.fact.branch
            ),
            href: format!("/changes/{sha}"),
            details: vec![],
            seqs: vec![change.seq],
        });
    }
    steps.extend(runs(record, sha).map(|r| run_step(record, r)));
    steps.extend(rollouts(record, sha).map(rollout_step));
    for found in state.incidents.values().filter(|i| names(i, sha)) {
        let row = incident::row(record, found);
        let over = found.resolved.is_some();
        steps.push(dto::ThreadStep {
            station: StationId::Observe,
            title: row.title,
            state: if over { State::Ok } else { State::Bad },
            at: row.detected_at,
            sentence: row.status,
            href: format!("/incidents/{}", row.incident),
            details: found
                .attribution
                .iter()
                .flat_map(|a| &a.proposed.causes)
                .take(1)
                .map(|c| c.sentence.clone())
                .collect(),
            seqs: found.events.clone(),
        });
    }
    steps.sort_by_key(|s| s.at);
    steps
}

fn run_step(record: &Record, run: &Run) -> dto::ThreadStep {
    let row = run::row(record, run);
    let state = match (row.state, row.outcome) {
        (_, Some(RunOutcome::Success)) => State::Ok,
        (_, Some(_)) => State::Bad,
        (RunState::Queued, _) => State::Waiting,
        _ => State::Running,
    };
    let sentence = match (row.outcome, &row.errors) {
        (Some(_), Some(errors)) => format!("{} ended in {}: {errors}", row.pipeline_name, word(row.outcome)),
        (Some(_), None) => format!("{} ended in {}", row.pipeline_name, word(row.outcome)),
        (None, _) => format!("{} is under way", row.pipeline_name),
    };
    let tests: Vec<_> = run.tests.values().flatten().collect();
    let mut details = row.marks.clone();
    if !tests.is_empty() {
        let (passed, failed) = tests.iter().fold((0, 0), |(p, f), t| (p + t.passed, f + t.failed));
        details.push(format!("{passed} tests passed, {failed} failed"));
    }
    details.extend(run.artifacts.iter().map(|a| format!("artifact {} ({} bytes)", a.name, a.size_bytes)));
    dto::ThreadStep {
        station: StationId::Pipeline,
        title: row.pipeline_name,
        state,
        at: row.finished_at.or(row.started_at).unwrap_or(row.queued_at),
        sentence,
        href: format!("/runs/{}", row.run),
        details,
        seqs: run.seqs.clone(),
    }
}

fn rollout_step(rollout: &Rollout) -> dto::ThreadStep {
    let plan = &rollout.planned.fact;
    let (state, sentence) = rollout_state(rollout);
    let mut details: Vec<String> = rollout.verdict.iter().map(|v| v.fact.sentence.clone()).collect();
    if let Some(finished) = &rollout.finished {
        let (requests, bad) = (finished.fact.exposed_requests, finished.fact.exposed_bad);
        details.push(format!("it served {requests} requests, {bad} of them badly"));
        if finished.fact.outcome == RolloutOutcome::RolledBack {
            details.extend(plan.rollback_to.as_ref().map(|to| format!("{to} serves again")));
        }
        if deploy::taken_back(rollout).is_some() {
            details.push("it had taken over, and was taken off again".into());
        }
    }
    dto::ThreadStep {
        station: StationId::Deploy,
        title: format!("{} in {}", plan.service, plan.environment),
        state,
        at: rollout.finished.as_ref().map_or(rollout.started.unwrap_or(rollout.planned.at), |f| f.at).into(),
        sentence,
        href: format!("/rollouts/{}", plan.deployment),
        details,
        seqs: rollout.seqs.clone(),
    }
}
