//! A repository with one workflow, and what came of running it.

use lem_pipeline::service::{FinishedRun, Progress};
use lem_pipeline::{Pipeline, PipelineConfig, PipelineError, RunRequest, RunResult, Tree};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// A repository in a directory that goes away.
pub(crate) struct Story {
    pub(crate) dir: Arc<tempfile::TempDir>,
}

pub(crate) const FILE: &str = ".github/workflows/ci.yml";

pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Story {
    /// A repository with this workflow and these files, committed.
    pub(crate) fn new(workflow: &str, files: &[(&str, &str)]) -> Self {
        let story = Self { dir: Arc::new(tempfile::tempdir().unwrap()) };
        std::fs::create_dir_all(story.root()).unwrap();
        git(&story.root(), &["init", "--quiet"]);
        story.write(FILE, workflow);
        for (path, text) in files {
            story.write(path, text);
        }
        story.commit("first");
        story
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        git(&self.root(), &["add", "-A"]);
        git(&self.root(), &["commit", "--quiet", "--allow-empty", "-m", message]);
        git(&self.root(), &["rev-parse", "HEAD"])
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        Pipeline::open(&self.root(), &self.data(), PipelineConfig::default())
    }

    pub(crate) async fn run(&self) -> Told {
        self.run_with(RunRequest::default()).await
    }

    pub(crate) async fn run_with(&self, request: RunRequest) -> Told {
        self.try_run(request).await.unwrap()
    }

    pub(crate) async fn try_run(&self, request: RunRequest) -> Result<Told, PipelineError> {
        let pipeline = self.pipeline();
        let seen = Arc::new(Mutex::new(vec![]));
        let keep = Arc::clone(&seen);
        let listener = Arc::new(move |progress: Progress| keep.lock().unwrap().push(progress));
        let result = pipeline.run(&request, Some(listener), CancellationToken::new()).await?;
        let seen = seen.lock().unwrap().clone();
        Ok(Told { result, pipeline, seen, _dir: Arc::clone(&self.dir) })
    }
}

/// What came of a run.
pub(crate) struct Told {
    pub(crate) result: RunResult,
    pub(crate) pipeline: Pipeline,
    pub(crate) seen: Vec<Progress>,
    _dir: Arc<tempfile::TempDir>,
}

impl Told {
    pub(crate) fn run(&self) -> &FinishedRun {
        &self.result.runs[0]
    }

    /// Lines of a job's log.
    pub(crate) fn log(&self, job: &str) -> Vec<String> {
        let page = self.pipeline.logs().read(self.run().run.as_str(), job, 0, 10_000).unwrap();
        page.lines.into_iter().map(|line| line.text).collect()
    }

    /// `job=conclusion`, skipped jobs as `job=skipped`, sorted.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let mut jobs: Vec<String> = self
            .run()
            .view
            .jobs
            .values()
            .map(|job| match job.conclusion {
                Some(conclusion) => format!("{}={conclusion:?}", job.key),
                None => format!("{}={:?}", job.key, job.stage),
            })
            .collect();
        jobs.sort();
        jobs
    }
}

pub(crate) fn dirty() -> RunRequest {
    RunRequest { tree: Tree::Working, ..RunRequest::default() }
}

/// A workflow on push with one job of these steps.
pub(crate) fn steps(body: &str) -> String {
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!("on: push\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n{indented}")
}
