//! Runs as tables and pages.

use crate::dto::{self, RunOutcome, RunState};
use crate::record::{At, Record, Run};
use lem_model::fact::{Outcome, RunRejected};
use std::collections::BTreeMap;

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only of this branch.
    pub branch: Option<String>,
    /// Only of this commit.
    pub sha: Option<String>,
}

fn outcome(outcome: Outcome) -> RunOutcome {
    match outcome {
        Outcome::Success => RunOutcome::Success,
        Outcome::Failure => RunOutcome::Failure,
        Outcome::Cancel => RunOutcome::Cancel,
        Outcome::Error => RunOutcome::Error,
    }
}

/// Runs, newest first.
pub fn table(record: &Record, which: &Which, limit: usize) -> dto::RunsPage {
    let passes = |run: &&Run| {
        let queued = &run.queued.fact;
        which.branch.as_ref().is_none_or(|b| *b == queued.branch)
            && which.sha.as_ref().is_none_or(|s| queued.sha.as_str().starts_with(s.as_str()))
    };
    let runs = record.runs.values().rev().filter(passes).take(limit).map(|run| row(record, run)).collect();
    let rejected = record.rejected.iter().rev();
    let rejected = rejected.filter(|r| which.sha.as_ref().is_none_or(|s| r.fact.sha.as_str().starts_with(s.as_str())));
    dto::RunsPage { runs, rejected: rejected.take(limit).map(rejected_row).collect() }
}

fn rejected_row(rejected: &At<RunRejected>) -> dto::RejectedRun {
    dto::RejectedRun {
        file: rejected.fact.file.clone(),
        sha: rejected.fact.sha.to_string(),
        at: rejected.at.into(),
        diagnostics: rejected.fact.diagnostics.iter().map(ToString::to_string).collect(),
        seq: rejected.seq,
    }
}

/// A run as a row.
pub fn row(record: &Record, run: &Run) -> dto::RunRow {
    let queued = &run.queued.fact;
    let finished = run.finished.as_ref();
    let state = match (finished, run.started) {
        (Some(_), _) => RunState::Finished,
        (None, Some(_)) => RunState::Running,
        (None, None) => RunState::Queued,
    };
    dto::RunRow {
        run: queued.run.to_string(),
        pipeline_name: queued.pipeline_name.clone(),
        file: queued.file.clone(),
        sha: queued.sha.to_string(),
        subject: record.subject(queued.sha.as_str()),
        branch: queued.branch.clone(),
        event: queued.event.clone(),
        outcome: finished.map(|f| outcome(f.fact.outcome)),
        state,
        errors: finished.and_then(|f| f.fact.errors.clone()),
        marks: queued.marks.clone(),
        queued_at: run.queued.at.into(),
        started_at: run.started.map(Into::into),
        finished_at: finished.map(|f| f.at.into()),
        duration_ms: finished.map(|f| f.fact.duration_ms),
        usual_ms: usual_ms(record, run),
    }
}

/// Runs that the usual duration is taken from.
const USUAL_OF: usize = 20;

/// Median duration of the last successful runs of the same file and name.
fn usual_ms(record: &Record, run: &Run) -> Option<u64> {
    let same = |other: &&Run| {
        other.queued.fact.file == run.queued.fact.file
            && other.queued.fact.pipeline_name == run.queued.fact.pipeline_name
            && other.queued.fact.run != run.queued.fact.run
    };
    let finished = record.runs.values().rev().filter(same).filter_map(|r| r.finished.as_ref());
    let good = finished.filter(|f| f.fact.outcome == Outcome::Success);
    let mut times: Vec<u64> = good.map(|f| f.fact.duration_ms).take(USUAL_OF).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// A run as a page; `summaries` are what its jobs wrote, by job.
pub fn detail(record: &Record, id: &str, summaries: &BTreeMap<String, String>) -> Option<dto::RunDetail> {
    let run = record.runs.get(id)?;
    let jobs: Vec<dto::Job> = jobs(run, summaries);
    let artifacts = run.artifacts.iter().map(|a| dto::Artifact {
        name: a.name.clone(),
        digest: a.digest.to_string(),
        size_bytes: a.size_bytes,
        purl: a.purl.clone(),
    });
    Some(dto::RunDetail {
        summary: row(record, run),
        artifacts: artifacts.collect(),
        critical_path: critical_path(&jobs),
        jobs,
        seqs: run.seqs.clone(),
    })
}

fn jobs(run: &Run, summaries: &BTreeMap<String, String>) -> Vec<dto::Job> {
    let planned = run.queued.fact.jobs.iter().map(|j| (j.job.clone(), j.name.clone(), j.needs.clone()));
    let mut all: Vec<_> = planned.collect();
    // A matrix that is worked out late gives jobs that the plan did not have.
    let late = run.jobs_started.keys().chain(run.jobs_finished.keys()).chain(run.jobs_skipped.keys());
    for job in late {
        if !all.iter().any(|(known, ..)| known == job) {
            all.push((job.clone(), job.clone(), vec![]));
        }
    }
    all.into_iter().map(|(key, name, needs)| job(run, key, name, needs, summaries)).collect()
}

fn job(run: &Run, key: String, name: String, needs: Vec<String>, summaries: &BTreeMap<String, String>) -> dto::Job {
    let finished = run.jobs_finished.get(&key);
    let skipped = run.jobs_skipped.get(&key);
    let started = run.jobs_started.get(&key);
    let state = match (finished, skipped, started) {
        (Some(_), _, _) => RunState::Finished,
        (None, Some(_), _) => RunState::Skipped,
        (None, None, Some(_)) => RunState::Running,
        (None, None, None) => RunState::Queued,
    };
    let why = finished.and_then(|f| f.fact.errors.clone()).or_else(|| skipped.map(|s| s.fact.why.clone()));
    dto::Job {
        state,
        outcome: finished.map(|f| outcome(f.fact.outcome)),
        conclusion: finished.map(|f| outcome(f.fact.conclusion)),
        why,
        started_at: started.map(|at| (*at).into()),
        duration_ms: finished.map(|f| f.fact.duration_ms),
        steps: run.steps.get(&key).into_iter().flatten().map(step).collect(),
        tests: run.tests.get(&key).into_iter().flatten().map(suite).collect(),
        summary: summaries.get(&key).cloned(),
        job: key,
        name,
        needs,
    }
}

fn step(step: &lem_model::fact::StepFinished) -> dto::Step {
    dto::Step {
        index: step.index,
        name: step.name.clone(),
        outcome: outcome(step.outcome),
        conclusion: outcome(step.conclusion),
        skipped: step.skipped,
        exit_code: step.exit_code,
        duration_ms: step.duration_ms,
    }
}

fn suite(suite: &lem_model::fact::TestSuiteFinished) -> dto::TestSuite {
    let failures = suite.failures.iter().map(|f| dto::TestFailure { name: f.name.clone(), message: f.message.clone() });
    dto::TestSuite {
        suite: suite.suite.clone(),
        passed: suite.passed,
        failed: suite.failed,
        skipped: suite.skipped,
        duration_ms: suite.duration_ms,
        failures: failures.collect(),
    }
}

/// The chain of needs that took longest, first to last. A job that has not ended counts with what is known: nothing.
pub fn critical_path(jobs: &[dto::Job]) -> Vec<String> {
    let index: BTreeMap<&str, usize> = jobs.iter().enumerate().map(|(i, j)| (j.job.as_str(), i)).collect();
    let mut best: Vec<Option<(u64, Option<usize>)>> = vec![None; jobs.len()];
    // Plans have no cycles; the bound keeps a wrong one from hanging us.
    for _ in 0..=jobs.len() {
        for (i, job) in jobs.iter().enumerate() {
            let needs = job.needs.iter().filter_map(|n| index.get(n.as_str()).copied());
            let before = needs.filter_map(|n| best[n].map(|(t, _)| (t, n))).max_by_key(|(t, _)| *t);
            let own = job.duration_ms.unwrap_or(0);
            best[i] = Some((before.map_or(0, |(t, _)| t).saturating_add(own), before.map(|(_, n)| n)));
        }
    }
    let mut at = (0..jobs.len()).rev().max_by_key(|i| best[*i].map_or(0, |(t, _)| t));
    let mut path = vec![];
    while let Some(i) = at.filter(|_| path.len() < jobs.len()) {
        path.push(jobs[i].job.clone());
        at = best[i].and_then(|(_, before)| before);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, needs: &[&str], duration_ms: u64) -> dto::Job {
        dto::Job {
            job: name.into(),
            name: name.into(),
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
            state: RunState::Finished,
            outcome: None,
            conclusion: None,
            why: None,
            started_at: None,
            duration_ms: Some(duration_ms),
            steps: vec![],
            tests: vec![],
            summary: None,
        }
    }

    #[test]
    fn the_critical_path_is_the_longest_chain() {
        let check = |jobs: &[dto::Job], expect: &[&str]| assert_eq!(critical_path(jobs), expect);
        check(&[], &[]);
        check(&[job("a", &[], 1)], &["a"]);
        check(
            &[job("a", &[], 5), job("b", &["a"], 1), job("c", &["a"], 9), job("d", &["b", "c"], 1)],
            &["a", "c", "d"],
        );
        check(&[job("a", &[], 5), job("b", &[], 7)], &["b"]);
        // A plan that comes out of order, and one that cannot be.
        check(&[job("b", &["a"], 1), job("a", &[], 5)], &["a", "b"]);
        assert!(critical_path(&[job("a", &["b"], 1), job("b", &["a"], 1)]).len() <= 2);
    }
}
