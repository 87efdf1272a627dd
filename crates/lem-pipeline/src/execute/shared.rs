//! What the jobs of one run share.

use crate::dialect::github::{RunInfo, TriggerEvent};
use crate::events::PipelineFact;
use crate::results::blob::Blobs;
use crate::results::junit::{self, JunitError};
use lem_model::Digest;
use lem_model::fact::{ArtifactPackaged, Outcome, Ref, TestSuiteFinished};
use lem_source::git::Repository;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Which files a checkout of the event's commit gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tree {
    /// Those of the commit.
    #[default]
    Commit,
    /// Those of the commit with the changes of the working tree.
    Working,
}

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredArtifact {
    /// Number in the run, from 1.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Digest of its archive.
    pub digest: Digest,
    /// Bytes of its archive.
    pub size_bytes: u64,
    /// Job that made it.
    pub job: String,
}

/// Takes facts as they happen.
pub(crate) type FactSink = Arc<dyn Fn(PipelineFact) + Send + Sync>;

/// What the jobs of one run share.
pub struct RunShared {
    /// The run.
    pub info: RunInfo,
    /// What started it.
    pub event: TriggerEvent,
    /// The repository, when there is one.
    pub repository: Option<Repository>,
    /// Which files a checkout gives.
    pub tree: Tree,
    /// Blobs.
    pub blobs: Blobs,
    /// Directory of caches.
    pub caches: PathBuf,
    pub(crate) facts: FactSink,
    artifacts: Mutex<Vec<StoredArtifact>>,
    reports: Mutex<BTreeSet<(String, Digest)>>,
}

impl std::fmt::Debug for RunShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunShared").field("run", &self.info.run).finish_non_exhaustive()
    }
}

impl RunShared {
    pub(crate) fn new(
        info: RunInfo,
        event: TriggerEvent,
        repository: Option<Repository>,
        tree: Tree,
        data: &Path,
        facts: FactSink,
    ) -> Self {
        Self {
            info,
            event,
            repository,
            tree,
            blobs: Blobs::new(data.join("blobs")),
            caches: data.join("caches"),
            facts,
            artifacts: Mutex::default(),
            reports: Mutex::default(),
        }
    }

    /// The artifacts so far, by name.
    pub fn artifacts(&self) -> Vec<StoredArtifact> {
        let mut all = self.artifacts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// An artifact by name.
    pub fn artifact(&self, name: &str) -> Option<StoredArtifact> {
        self.artifacts().into_iter().find(|a| a.name == name)
    }

    /// Keeps an artifact in the place of one of the same name, and says so.
    pub(crate) fn keep_artifact(&self, mut artifact: StoredArtifact) -> Result<(), String> {
        let mut all = self.artifacts.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|a| a.name != artifact.name);
        if all.len() >= crate::actions::artifact::MAX_ARTIFACTS {
            return Err(format!("the run has {} artifacts already", all.len()));
        }
        artifact.id = all.iter().map(|a| a.id).max().unwrap_or(0) + 1;
        all.push(artifact.clone());
        drop(all);
        let (sha, digest) = (self.event.sha.clone(), artifact.digest.clone());
        (self.facts)(PipelineFact::ArtifactPackaged(ArtifactPackaged {
            change: Ref::to(sha.to_string()),
            purl: format!("pkg:generic/{}@{sha}?checksum={digest}", purl_name(&artifact.name)),
            name: artifact.name,
            digest,
            size_bytes: artifact.size_bytes,
            run: self.info.run.clone(),
            sha,
            branch: self.event.ref_kind().1.to_owned(),
        }));
        Ok(())
    }

    /// Reads a test report once, and says its results.
    pub(crate) fn read_report(&self, job: &str, path: &Path) -> Result<(), JunitError> {
        let bytes =
            std::fs::read(path).map_err(|source| JunitError::Io { path: path.display().to_string(), source })?;
        let seen = (job.to_owned(), Digest::of(&bytes));
        if !self.reports.lock().unwrap_or_else(PoisonError::into_inner).insert(seen) {
            return Ok(());
        }
        for suite in junit::read(path)? {
            (self.facts)(PipelineFact::TestSuiteFinished(TestSuiteFinished {
                outcome: if suite.failed == 0 { Outcome::Success } else { Outcome::Failure },
                environment: Ref::to("local"),
                test_suite: Ref::to(suite.name.clone()),
                run: self.info.run.clone(),
                job: job.to_owned(),
                suite: suite.name,
                passed: suite.passed,
                failed: suite.failed,
                skipped: suite.skipped,
                duration_ms: suite.duration_ms,
                failures: suite.failures,
                sha: self.event.sha.clone(),
            }));
        }
        Ok(())
    }
}

/// A name as a package URL holds it.
fn purl_name(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    name.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
