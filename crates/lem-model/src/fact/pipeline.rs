//! Stage 2. Owner: `lem-pipeline`.

use super::{Ref, facts};
use crate::diagnostic::Diagnostic;
use crate::id::{Actor, CommitSha, Digest, RunId};
use serde::{Deserialize, Serialize};

/// How a run, job or step ended, in CDEvents 0.5 words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All that had to succeed did.
    Success,
    /// Something failed.
    #[serde(alias = "fail")]
    Failure,
    /// Somebody or something stopped it.
    Cancel,
    /// It could not be carried out.
    Error,
}

/// One test that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTest {
    /// `suite::name`.
    pub name: String,
    /// First lines of the message.
    pub message: String,
}

fn id_only<S: serde::Serializer>(reference: &Ref, to: S) -> Result<S::Ok, S::Error> {
    Ref::to(reference.id.as_str()).serialize(to)
}

facts! {
    /// A run was accepted and waits.
    RunQueued = "dev.cdevents.pipelinerun.queued.0.3.0", content ["pipelineName", "uri"],
    subject |s| s.run.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Run.
        #[serde(alias = "subjectId")]
        run: RunId,
        /// Name of the pipeline.
        #[serde(default)]
        pipeline_name: String,
        /// Where to look.
        #[serde(default)]
        uri: String,
        /// Commit it runs on.
        #[serde(default)]
        sha: CommitSha,
        /// Branch or tag, short.
        #[serde(default)]
        branch: String,
        /// Workflow file.
        #[serde(default)]
        file: String,
        /// Triggering event: push, pull_request, workflow_dispatch ...
        #[serde(default)]
        event: String,
        /// The jobs of the plan: what the graph of the run shows before anything started.
        #[serde(default)]
        jobs: Vec<PlannedJob>,
        /// Marks on this commit from earlier incidents, one sentence each.
        #[serde(default)]
        marks: Vec<String>,
    }
    /// A run started.
    RunStarted = "dev.cdevents.pipelinerun.started.0.3.0", content ["pipelineName", "uri"],
    subject |s| s.run.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Run.
        #[serde(alias = "subjectId")]
        run: RunId,
        /// Name of the pipeline.
        #[serde(default)]
        pipeline_name: String,
        /// Where to look.
        #[serde(default)]
        uri: String,
        /// Commit it runs on.
        #[serde(default)]
        sha: CommitSha,
    }
    /// A run ended.
    RunFinished = "dev.cdevents.pipelinerun.finished.0.3.0", content ["pipelineName", "uri", "outcome", "errors"],
    subject |s| s.run.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Run.
        #[serde(alias = "subjectId")]
        run: RunId,
        /// Name of the pipeline.
        #[serde(default)]
        pipeline_name: String,
        /// Where to look.
        #[serde(default)]
        uri: String,
        /// How it ended.
        outcome: Outcome,
        /// What went wrong, in one line.
        #[serde(default)]
        errors: Option<String>,
        /// Commit it ran on.
        #[serde(default)]
        sha: CommitSha,
        /// Branch or tag, short.
        #[serde(default)]
        branch: String,
        /// From start to end.
        #[serde(default)]
        duration_ms: u64,
        /// From queue to start.
        #[serde(default)]
        queued_ms: u64,
    }
    /// A workflow file could not be planned for an event: nothing started.
    RunRejected = "dev.cdeventsx.lem-pipelineplan.rejected.0.1.0", content [],
    subject |s| s.file.clone(), chain |c| Some(c.sha.to_string()),
    {
        /// Workflow file.
        file: String,
        /// Commit.
        sha: CommitSha,
        /// Why.
        diagnostics: Vec<Diagnostic>,
    }
    /// A job started.
    JobStarted = "dev.cdevents.taskrun.started.0.3.0", content ["taskName", "uri", "pipelineRun"],
    subject |s| format!("{}/{}", s.run, s.job), chain |c| Some(c.sha.to_string()),
    {
        /// Display name.
        task_name: String,
        /// Where to look.
        uri: String,
        /// The run, as CDEvents refers to it.
        pipeline_run: Ref,
        /// Run.
        run: RunId,
        /// Key of the job in the plan, matrix included: `test (1.80, linux)`.
        job: String,
        /// Commit.
        sha: CommitSha,
    }
    /// A job ended.
    JobFinished = "dev.cdevents.taskrun.finished.0.3.0", content ["taskName", "uri", "pipelineRun", "outcome", "errors"],
    subject |s| format!("{}/{}", s.run, s.job), chain |c| Some(c.sha.to_string()),
    {
        /// Display name.
        task_name: String,
        /// Where to look.
        uri: String,
        /// The run, as CDEvents refers to it.
        pipeline_run: Ref,
        /// How it ended, before `continue-on-error`.
        outcome: Outcome,
        /// What went wrong, in one line.
        errors: Option<String>,
        /// Run.
        run: RunId,
        /// Key of the job in the plan.
        job: String,
        /// Commit.
        sha: CommitSha,
        /// How it counts, after `continue-on-error`.
        conclusion: Outcome,
        /// From start to end.
        duration_ms: u64,
    }
    /// A job did not run, and why.
    JobSkipped = "dev.cdeventsx.lem-job.skipped.0.1.0", content [],
    subject |s| format!("{}/{}", s.run, s.job), chain |c| Some(c.sha.to_string()),
    {
        /// Run.
        run: RunId,
        /// Key of the job in the plan.
        job: String,
        /// The reason as a sentence with its place: `needs build, which failed (ci.yml:12)`.
        why: String,
        /// Commit.
        sha: CommitSha,
    }
    /// A step ended.
    StepFinished = "dev.cdeventsx.lem-step.finished.0.1.0", content [],
    subject |s| format!("{}/{}/{}", s.run, s.job, s.index), chain |c| Some(c.sha.to_string()),
    {
        /// Run.
        run: RunId,
        /// Key of the job in the plan.
        job: String,
        /// Index in the job, from 0.
        index: u32,
        /// Display name.
        name: String,
        /// Raw result.
        outcome: Outcome,
        /// Result after `continue-on-error`.
        conclusion: Outcome,
        /// Whether it was skipped by its condition.
        skipped: bool,
        /// Exit code, when a process ran.
        exit_code: Option<i32>,
        /// From start to end.
        duration_ms: u64,
        /// Commit.
        sha: CommitSha,
    }
    /// Test results were read from a report.
    TestSuiteFinished = "dev.cdevents.testsuiterun.finished.0.3.0", content ["outcome", "environment", "testSuite"],
    subject |s| format!("{}/{}/{}", s.run, s.job, s.suite), chain |c| Some(c.sha.to_string()),
    {
        /// Whether all passed.
        outcome: Outcome,
        /// Where it ran: the runner.
        environment: Ref,
        /// The suite; CDEvents knows no source here, so none is written.
        #[serde(serialize_with = "id_only")]
        test_suite: Ref,
        /// Run.
        run: RunId,
        /// Job.
        job: String,
        /// Suite name.
        suite: String,
        /// Passed cases.
        passed: u32,
        /// Failed cases.
        failed: u32,
        /// Skipped cases.
        skipped: u32,
        /// Time the suite took by its own account.
        duration_ms: u64,
        /// The failed ones, at most 100.
        failures: Vec<FailedTest>,
        /// Commit.
        sha: CommitSha,
    }
    /// An artifact was stored by its digest.
    ArtifactPackaged = "dev.cdevents.artifact.packaged.0.3.0", content ["change"],
    subject |s| s.purl.clone(), chain |c| Some(c.sha.to_string()),
    {
        /// The change, as CDEvents refers to it.
        change: Ref,
        /// Package URL: `pkg:generic/shop@<sha>?checksum=sha256:...`.
        #[serde(alias = "subjectId")]
        purl: String,
        /// Name, as the workflow gave it.
        #[serde(default)]
        name: String,
        /// Digest of the stored archive (zip).
        #[serde(default)]
        digest: Digest,
        /// Size in bytes.
        #[serde(default)]
        size_bytes: u64,
        /// Run that made it.
        #[serde(default)]
        run: RunId,
        /// Commit it was made from.
        #[serde(default)]
        sha: CommitSha,
        /// Branch or tag, short.
        #[serde(default)]
        branch: String,
    }
    /// Somebody asks for a run.
    PipelineRequested = "dev.cdeventsx.lem-pipeline.requested.0.1.0", content [],
    subject |s| s.run.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Id the run will have; makes the request idempotent.
        run: RunId,
        /// Workflow file; all whose triggers match when absent.
        file: Option<String>,
        /// Commit.
        sha: CommitSha,
        /// Branch or tag, short.
        branch: String,
        /// Triggering event.
        event: String,
        /// Inputs of a manual run.
        inputs: Vec<(String, String)>,
        /// Who asks.
        by: Actor,
    }
    /// Somebody asks to stop a run.
    PipelineCancelRequested = "dev.cdeventsx.lem-pipelinecancel.requested.0.1.0", content [],
    subject |s| s.run.to_string(), chain |_c| None,
    {
        /// Run.
        run: RunId,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
}

/// A job of a plan, enough to draw the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedJob {
    /// Key of the job in the plan.
    pub job: String,
    /// Display name.
    pub name: String,
    /// Keys of the jobs it waits for.
    pub needs: Vec<String>,
}
