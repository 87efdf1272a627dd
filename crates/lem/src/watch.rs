//! Follows the watched branch: every new commit becomes `change.merged`, once.

use crate::exit::Failure;
use lem_ledger::{Filter, Recorder};
use lem_model::fact::ChangeMerged;
use lem_model::{CommitSha, Event};
use lem_source::git::{GitError, Repository};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks at the branch.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Commits that are told after a long absence; the newest ones.
const MAX_CATCH_UP: usize = 100;

/// Watches one branch of one repository.
pub(crate) struct Watcher {
    pub(crate) repository: Repository,
    pub(crate) branch: String,
    pub(crate) recorder: Recorder,
}

impl Watcher {
    /// Looks until cancelled. A repository that does not answer is looked at again; it may be in the middle of a rebase.
    pub(crate) async fn watch(self, cancel: CancellationToken) -> Result<(), Failure> {
        let mut last = self.last_known().await?;
        let mut complained = false;
        loop {
            match self.look(last.as_ref()).await {
                Ok(Some(head)) => (last, complained) = (Some(head), false),
                Ok(None) => complained = false,
                Err(error) if !complained => {
                    tracing::warn!(%error, "the watched branch cannot be read; looking again");
                    complained = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The newest commit of the branch that the ledger knows.
    async fn last_known(&self) -> Result<Option<CommitSha>, Failure> {
        let filter = Filter::types(["change.merged"]);
        let (mut next, mut last) = (0, None);
        loop {
            let page = self.recorder.log().read(next, &filter, 1_000).await.map_err(crate::command::ledger::failed)?;
            let Some(end) = page.last() else { return Ok(last) };
            next = end.seq + 1;
            let mut changes = page.iter().filter_map(Event::read::<ChangeMerged>).filter(|c| c.branch == self.branch);
            last = changes.next_back().map(|c| c.sha).or(last);
        }
    }

    /// Tells what is new; gives the new head.
    async fn look(&self, last: Option<&CommitSha>) -> Result<Option<CommitSha>, anyhow::Error> {
        let repository = self.repository.clone();
        let (branch, known) = (self.branch.clone(), last.cloned());
        // git is a process; waiting for it must not hold up the runtime.
        let found = tokio::task::spawn_blocking(move || new_changes(&repository, &branch, known.as_ref())).await??;
        let head = found.last().map(|c| c.sha.clone());
        for change in found {
            self.recorder.record_as(format!("change:{}:{}", change.branch, change.sha), &change).await?;
        }
        Ok(head)
    }
}

/// Commits since the last known one, oldest first; on a branch never seen before only its head, because its past is past.
fn new_changes(repository: &Repository, branch: &str, last: Option<&CommitSha>) -> Result<Vec<ChangeMerged>, GitError> {
    let Some(head) = repository.resolve(&format!("refs/heads/{branch}"))? else { return Ok(vec![]) };
    if last == Some(&head) {
        return Ok(vec![]);
    }
    // After a force push the last known commit may be gone, or no ancestor: then only the head is new.
    let from = last.filter(|sha| repository.resolve(sha.as_str()).is_ok_and(|found| found.is_some()));
    let commits = match from {
        Some(from) => repository.commits(Some(from), &head, MAX_CATCH_UP)?,
        None => vec![],
    };
    let commits = if commits.is_empty() { vec![head] } else { commits };
    commits.iter().map(|sha| repository.change(sha, branch)).collect()
}
