//! Runs, jobs, steps, logs, artifacts.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Where a run or job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Accepted, not started.
    Queued,
    /// Under way.
    Running,
    /// Ended; the outcome says how.
    Finished,
    /// Did not run; `why` says why.
    Skipped,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// All that had to succeed did.
    Success,
    /// Something failed.
    Failure,
    /// Somebody or something stopped it.
    Cancel,
    /// It could not be carried out.
    Error,
}

/// A run in a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// Run.
    pub run: String,
    /// Name of the pipeline.
    pub pipeline_name: String,
    /// Workflow file.
    pub file: String,
    /// Commit.
    pub sha: String,
    /// First line of the commit's message, where it is known.
    pub subject: Option<String>,
    /// Branch or tag.
    pub branch: String,
    /// Triggering event.
    pub event: String,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Where it is.
    pub state: RunState,
    /// What went wrong, in one line.
    pub errors: Option<String>,
    /// Marks on this commit from earlier incidents.
    pub marks: Vec<String>,
    /// When it was accepted.
    pub queued_at: Time,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// From start to end.
    pub duration_ms: Option<u64>,
    /// Median duration of earlier successful runs of this pipeline, for comparison.
    pub usual_ms: Option<u64>,
}

/// A page of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunsPage {
    /// Newest first.
    pub runs: Vec<RunRow>,
    /// Files that could not be planned for a commit, newest first.
    pub rejected: Vec<RejectedRun>,
}

/// A workflow file that could not be planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RejectedRun {
    /// Workflow file.
    pub file: String,
    /// Commit.
    pub sha: String,
    /// When.
    pub at: Time,
    /// Why, one line each with its place.
    pub diagnostics: Vec<String>,
    /// Event that says so.
    pub seq: u64,
}

/// One run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    /// What the table shows.
    #[serde(flatten)]
    pub summary: RunRow,
    /// Jobs in the order of the plan.
    pub jobs: Vec<Job>,
    /// Artifacts.
    pub artifacts: Vec<Artifact>,
    /// Jobs that decide how long the run takes, first to last.
    pub critical_path: Vec<String>,
    /// Events that tell it.
    pub seqs: Vec<u64>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Key in the plan.
    pub job: String,
    /// Display name.
    pub name: String,
    /// Keys of the jobs it waits for.
    pub needs: Vec<String>,
    /// Where it is.
    pub state: RunState,
    /// How it ended, before `continue-on-error`.
    pub outcome: Option<RunOutcome>,
    /// How it counts, after `continue-on-error`.
    pub conclusion: Option<RunOutcome>,
    /// Why it did not run, or what went wrong.
    pub why: Option<String>,
    /// When it started.
    pub started_at: Option<Time>,
    /// From start to end.
    pub duration_ms: Option<u64>,
    /// Steps that ended.
    pub steps: Vec<Step>,
    /// Test suites it reported.
    pub tests: Vec<TestSuite>,
    /// Its summary in Markdown, when it wrote one.
    pub summary: Option<String>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Index in the job, from 0.
    pub index: u32,
    /// Display name.
    pub name: String,
    /// Raw result.
    pub outcome: RunOutcome,
    /// Result after `continue-on-error`.
    pub conclusion: RunOutcome,
    /// Whether its condition skipped it.
    pub skipped: bool,
    /// Exit code, when a process ran.
    pub exit_code: Option<i32>,
    /// From start to end.
    pub duration_ms: u64,
}

/// Results of a test suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestSuite {
    /// Name.
    pub suite: String,
    /// Passed cases.
    pub passed: u32,
    /// Failed cases.
    pub failed: u32,
    /// Skipped cases.
    pub skipped: u32,
    /// Time it took.
    pub duration_ms: u64,
    /// The failed ones.
    pub failures: Vec<TestFailure>,
}

/// A test that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestFailure {
    /// `suite::name`.
    pub name: String,
    /// First lines of the message.
    pub message: String,
}

/// An artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Name, as the workflow gave it.
    pub name: String,
    /// Digest of the archive.
    pub digest: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Package URL.
    pub purl: String,
}

/// Part of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobLog {
    /// Lines.
    pub lines: Vec<JobLogLine>,
    /// Line to ask for next.
    pub next: u64,
    /// Whether the job has ended and all lines up to here are there.
    pub done: bool,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobLogLine {
    /// Line, from 0.
    pub n: u64,
    /// When it was said.
    pub at: Time,
    /// Step it belongs to, where known.
    pub step: Option<u32>,
    /// `out` or `err`, where known.
    pub stream: Option<String>,
    /// Text, ANSI colours kept.
    pub text: String,
    /// Group it stands in.
    pub group: Option<String>,
    /// error, warning, notice, debug; plain when absent.
    pub level: Option<String>,
}

/// Asks for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// Workflow file; all that match when absent.
    #[serde(default)]
    pub file: Option<String>,
    /// Commit; the newest known of the branch when absent.
    #[serde(default)]
    pub sha: Option<String>,
    /// Branch; the watched one when absent.
    #[serde(default)]
    pub branch: Option<String>,
    /// Triggering event; `workflow_dispatch` when absent.
    #[serde(default)]
    pub event: Option<String>,
    /// Inputs.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}
