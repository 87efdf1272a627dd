//! The facts this stage owns and the requests it hears.

pub use lem_model::fact::{
    ArtifactPackaged, JobFinished, JobSkipped, JobStarted, PipelineCancelRequested, PipelineRequested, PlannedJob,
    RunFinished, RunQueued, RunRejected, RunStarted, StepFinished, TestSuiteFinished,
};

use lem_model::{Event, RunId};

/// A fact of this stage.
#[derive(Clone, Debug, PartialEq)]
pub enum PipelineFact {
    /// A run waits.
    RunQueued(RunQueued),
    /// A run started.
    RunStarted(RunStarted),
    /// A run ended.
    RunFinished(RunFinished),
    /// A file could not be planned.
    RunRejected(RunRejected),
    /// A job started.
    JobStarted(JobStarted),
    /// A job ended.
    JobFinished(JobFinished),
    /// A job did not run.
    JobSkipped(JobSkipped),
    /// A step ended.
    StepFinished(StepFinished),
    /// Test results.
    TestSuiteFinished(TestSuiteFinished),
    /// An artifact.
    ArtifactPackaged(ArtifactPackaged),
}

impl PipelineFact {
    /// The fact an event holds, when it is one of ours.
    pub fn read(event: &Event) -> Option<Self> {
        Some(match event.kind.short() {
            "pipelinerun.queued" => Self::RunQueued(event.read()?),
            "pipelinerun.started" => Self::RunStarted(event.read()?),
            "pipelinerun.finished" => Self::RunFinished(event.read()?),
            "pipelineplan.rejected" => Self::RunRejected(event.read()?),
            "taskrun.started" => Self::JobStarted(event.read()?),
            "taskrun.finished" => Self::JobFinished(event.read()?),
            "job.skipped" => Self::JobSkipped(event.read()?),
            "step.finished" => Self::StepFinished(event.read()?),
            "testsuiterun.finished" => Self::TestSuiteFinished(event.read()?),
            "artifact.packaged" => Self::ArtifactPackaged(event.read()?),
            _ => return None,
        })
    }

    /// The run it belongs to.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::RunQueued(f) => Some(&f.run),
            Self::RunStarted(f) => Some(&f.run),
            Self::RunFinished(f) => Some(&f.run),
            Self::RunRejected(_) => None,
            Self::JobStarted(f) => Some(&f.run),
            Self::JobFinished(f) => Some(&f.run),
            Self::JobSkipped(f) => Some(&f.run),
            Self::StepFinished(f) => Some(&f.run),
            Self::TestSuiteFinished(f) => Some(&f.run),
            Self::ArtifactPackaged(f) => Some(&f.run),
        }
    }
}
