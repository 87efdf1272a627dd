//! Runs as a fold over the ledger: for the server, the command line, and the stage itself after a restart.

use crate::events::{PipelineFact, PlannedJob};
use indexmap::IndexMap;
use jiff::Timestamp;
use lem_ledger::Projection;
use lem_model::fact::{Outcome, PipelineRequested, RegressionMarked, TestSuiteFinished};
use lem_model::{CommitSha, Diagnostic, Digest, Event, RunId};
use serde::Serialize;
use std::collections::HashMap;

/// Runs a view holds; beyond it the oldest finished ones are forgotten here (the ledger keeps them).
pub const MAX_RUNS: usize = 5_000;
/// Rejected files a view holds.
pub const MAX_REJECTED: usize = 500;

/// Where a run or job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It waits.
    #[default]
    Queued,
    /// It runs.
    Running,
    /// It has ended.
    Finished,
    /// It did not run.
    Skipped,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Run.
    pub run: RunId,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Workflow file.
    pub file: String,
    /// Commit.
    pub sha: CommitSha,
    /// Branch or tag, short.
    pub branch: String,
    /// Triggering event.
    pub event: String,
    /// Marks from earlier incidents.
    pub marks: Vec<String>,
    /// Where it stands.
    pub stage: Stage,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What went wrong.
    pub errors: Option<String>,
    /// When it was queued.
    pub queued_at: Option<Timestamp>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// From start to end.
    pub duration_ms: u64,
    /// From queue to start.
    pub queued_ms: u64,
    /// Jobs by key, in the order of the file.
    pub jobs: IndexMap<String, JobView>,
    /// Test results.
    pub tests: Vec<TestSuiteFinished>,
    /// Artifacts.
    pub artifacts: Vec<ArtifactView>,
}

/// A job of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// Key.
    pub key: String,
    /// Display name.
    pub name: String,
    /// Ids of the jobs it waits for.
    pub needs: Vec<String>,
    /// Where it stands.
    pub stage: Stage,
    /// Raw result.
    pub outcome: Option<Outcome>,
    /// Result as it counts.
    pub conclusion: Option<Outcome>,
    /// Why it did not run.
    pub why_skipped: Option<String>,
    /// What went wrong.
    pub errors: Option<String>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// From start to end.
    pub duration_ms: u64,
    /// Steps.
    pub steps: Vec<StepView>,
}

/// A step of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Index, from 0.
    pub index: u32,
    /// Display name.
    pub name: String,
    /// Raw result.
    pub outcome: Outcome,
    /// Result as it counts.
    pub conclusion: Outcome,
    /// Whether it was skipped.
    pub skipped: bool,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// From start to end.
    pub duration_ms: u64,
}

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactView {
    /// Name.
    pub name: String,
    /// Digest of the archive.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size_bytes: u64,
    /// Package URL.
    pub purl: String,
}

/// A file that could not be planned.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedView {
    /// Workflow file.
    pub file: String,
    /// Commit.
    pub sha: CommitSha,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub diagnostics: Vec<Diagnostic>,
}

/// All runs.
#[derive(Clone, Debug, Default)]
pub struct RunsView {
    runs: IndexMap<RunId, RunView>,
    rejected: Vec<RejectedView>,
    marks: HashMap<CommitSha, Vec<String>>,
    requests: HashMap<RunId, PipelineRequested>,
    numbers: HashMap<String, u64>,
}

impl RunsView {
    /// Runs, the newest first.
    pub fn runs(&self) -> impl Iterator<Item = &RunView> {
        self.runs.values().rev()
    }

    /// A run.
    pub fn run(&self, run: &RunId) -> Option<&RunView> {
        self.runs.get(run)
    }

    /// Runs of a commit, the newest first.
    pub fn of_commit<'a>(&'a self, sha: &'a CommitSha) -> impl Iterator<Item = &'a RunView> {
        self.runs().filter(move |run| run.sha == *sha)
    }

    /// Files that could not be planned, the newest first.
    pub fn rejected(&self) -> impl Iterator<Item = &RejectedView> {
        self.rejected.iter().rev()
    }

    /// Marks on a commit.
    pub fn marks(&self, sha: &CommitSha) -> &[String] {
        self.marks.get(sha).map_or(&[], Vec::as_slice)
    }

    /// The request a run was made by.
    pub fn request(&self, run: &RunId) -> Option<&PipelineRequested> {
        self.requests.get(run)
    }

    /// How many runs of a file there were.
    pub fn count(&self, file: &str) -> u64 {
        self.numbers.get(file).copied().unwrap_or(0)
    }

    /// Runs that have not ended, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &RunView> {
        self.runs.values().filter(|run| matches!(run.stage, Stage::Queued | Stage::Running))
    }

    /// Folds one event.
    pub fn fold(&mut self, event: &Event) {
        if let Some(fact) = PipelineFact::read(event) {
            self.fold_fact(&fact, event.time_occurred);
        } else if let Some(mark) = event.read::<RegressionMarked>() {
            let marks = self.marks.entry(mark.sha).or_default();
            if !marks.contains(&mark.sentence) {
                marks.push(mark.sentence);
            }
        } else if let Some(request) = event.read::<PipelineRequested>() {
            self.requests.entry(request.run.clone()).or_insert(request);
        }
    }

    /// Folds one fact; what belongs to no known run is left alone.
    pub fn fold_fact(&mut self, fact: &PipelineFact, at: Timestamp) {
        match fact {
            PipelineFact::RunQueued(f) if !self.runs.contains_key(&f.run) => {
                *self.numbers.entry(f.file.clone()).or_default() += 1;
                let jobs = f.jobs.iter().map(|job| (job.job.clone(), JobView::planned(job))).collect();
                let run = RunView {
                    run: f.run.clone(),
                    pipeline: f.pipeline_name.clone(),
                    file: f.file.clone(),
                    sha: f.sha.clone(),
                    branch: f.branch.clone(),
                    event: f.event.clone(),
                    marks: f.marks.clone(),
                    queued_at: Some(at),
                    jobs,
                    ..RunView::default()
                };
                self.runs.insert(f.run.clone(), run);
                self.forget();
            }
            PipelineFact::RunRejected(f) => {
                let (file, sha, diagnostics) = (f.file.clone(), f.sha.clone(), f.diagnostics.clone());
                self.rejected.push(RejectedView { file, sha, at, diagnostics });
                if self.rejected.len() > MAX_REJECTED {
                    self.rejected.remove(0);
                }
            }
            fact => {
                if let Some(run) = fact.run().and_then(|id| self.runs.get_mut(id)) {
                    run.fold(fact, at);
                }
            }
        }
    }

    fn forget(&mut self) {
        if self.runs.len() > MAX_RUNS {
            let oldest = self.runs.values().find(|r| r.stage == Stage::Finished).map(|r| r.run.clone());
            if let Some(oldest) = oldest {
                self.runs.shift_remove(&oldest);
            }
        }
    }
}

impl Projection for RunsView {
    const NAME: &'static str = "pipeline.runs";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        self.fold(event);
    }
}

impl JobView {
    fn planned(job: &PlannedJob) -> Self {
        Self { key: job.job.clone(), name: job.name.clone(), needs: job.needs.clone(), ..Self::default() }
    }
}

impl RunView {
    /// A job by key; one that the plan did not know yet (a leg of a dynamic matrix) is added after its kin.
    fn job(&mut self, key: &str) -> &mut JobView {
        if !self.jobs.contains_key(key) {
            let id = key.split(" (").next().unwrap_or(key).to_owned();
            let kin = self.jobs.get(&id).cloned();
            let needs = kin.as_ref().map(|k| k.needs.clone()).unwrap_or_default();
            // The legs stand in the place of the job they were made from.
            if kin.is_some_and(|k| k.stage == Stage::Queued) && key != id {
                self.jobs.shift_remove(&id);
            }
            let job = JobView { key: key.to_owned(), name: key.to_owned(), needs, ..JobView::default() };
            self.jobs.insert(key.to_owned(), job);
        }
        self.jobs.entry(key.to_owned()).or_default()
    }

    /// Folds one fact of this run.
    fn fold(&mut self, fact: &PipelineFact, at: Timestamp) {
        match fact {
            PipelineFact::RunStarted(_) if self.stage == Stage::Queued => {
                self.stage = Stage::Running;
                self.started_at = Some(at);
            }
            PipelineFact::RunFinished(f) => {
                self.stage = Stage::Finished;
                self.outcome = Some(f.outcome);
                self.errors = f.errors.clone();
                self.finished_at = Some(at);
                (self.duration_ms, self.queued_ms) = (f.duration_ms, f.queued_ms);
                self.close_jobs();
            }
            PipelineFact::JobStarted(f) => {
                let job = self.job(&f.job);
                (job.stage, job.started_at) = (Stage::Running, Some(at));
                job.name = f.task_name.clone();
            }
            PipelineFact::JobFinished(f) => {
                let job = self.job(&f.job);
                job.stage = Stage::Finished;
                (job.outcome, job.conclusion) = (Some(f.outcome), Some(f.conclusion));
                (job.errors, job.duration_ms) = (f.errors.clone(), f.duration_ms);
            }
            PipelineFact::JobSkipped(f) => {
                let job = self.job(&f.job);
                (job.stage, job.why_skipped) = (Stage::Skipped, Some(f.why.clone()));
            }
            PipelineFact::StepFinished(f) => self.job(&f.job).steps.push(StepView {
                index: f.index,
                name: f.name.clone(),
                outcome: f.outcome,
                conclusion: f.conclusion,
                skipped: f.skipped,
                exit_code: f.exit_code,
                duration_ms: f.duration_ms,
            }),
            PipelineFact::TestSuiteFinished(f) => self.tests.push(f.clone()),
            PipelineFact::ArtifactPackaged(f) => {
                self.artifacts.retain(|a| a.name != f.name);
                let (name, digest, purl) = (f.name.clone(), f.digest.clone(), f.purl.clone());
                self.artifacts.push(ArtifactView { name, digest, size_bytes: f.size_bytes, purl });
            }
            _ => {}
        }
    }

    /// Nothing runs in a run that has ended.
    fn close_jobs(&mut self) {
        for job in self.jobs.values_mut().filter(|j| matches!(j.stage, Stage::Queued | Stage::Running)) {
            let lost = job.stage == Stage::Running;
            job.stage = if lost { Stage::Finished } else { Stage::Skipped };
            job.outcome = lost.then_some(Outcome::Error);
            job.conclusion = job.outcome;
            job.why_skipped = (!lost).then(|| "the run ended before it".to_owned());
        }
    }

    /// The chain of jobs that decided how long the run took, first to last, with its length.
    pub fn critical_path(&self) -> (Vec<String>, u64) {
        let mut best: HashMap<&str, (u64, Option<&str>)> = HashMap::new();
        // Jobs stand in the order of the file, not of their needs: settle until nothing changes.
        for _ in 0..=self.jobs.len() {
            let mut changed = false;
            for job in self.jobs.values() {
                let before = job
                    .needs
                    .iter()
                    .flat_map(|need| self.legs(need))
                    .filter_map(|leg| best.get(leg.key.as_str()).map(|(length, _)| (*length, leg.key.as_str())));
                let longest = before.max();
                let entry = (longest.map_or(0, |(l, _)| l) + job.duration_ms, longest.map(|(_, k)| k));
                if best.get(job.key.as_str()) != Some(&entry) {
                    best.insert(&job.key, entry);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        let last = best.iter().max_by_key(|(key, (length, _))| (*length, std::cmp::Reverse(**key)));
        let Some((last, (total, _))) = last else { return (vec![], 0) };
        let mut path = vec![];
        let mut at = Some(*last);
        while let Some(key) = at.filter(|_| path.len() <= self.jobs.len()) {
            path.push(key.to_owned());
            at = best.get(key).and_then(|(_, before)| *before);
        }
        path.reverse();
        (path, *total)
    }

    /// The jobs an id stands for.
    fn legs<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a JobView> {
        self.jobs
            .values()
            .filter(move |j| j.key == id || j.key.strip_prefix(id).is_some_and(|rest| rest.starts_with(" (")))
    }
}
