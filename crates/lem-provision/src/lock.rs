//! The lock on an environment: a lease that its holder renews and that frees itself when the holder is gone.
//!
//! In: a folder, the time, a length. Out: a [`Lease`] that is held or lost, never in between: the holder counts its own
//! deadline from before the write, so it stops no later than somebody else may begin. Locks of Terraform's own format
//! are honoured and written.

use crate::ProvisionError;
use crate::error::io;
use jiff::{SignedDuration, Timestamp};
use lem_model::Clock;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait between two tries for a lock.
const MAX_RETRY: Duration = Duration::from_secs(16);

/// How long a lease lasts and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Without renewal it ends after this.
    pub length: Duration,
    /// It is renewed this often.
    pub renew_every: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { length: Duration::from_mins(1), renew_every: Duration::from_secs(15) }
    }
}

/// Who holds a lock, in Terraform's fields and two of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Holder {
    /// Identity of the lock.
    #[serde(rename = "ID")]
    pub id: String,
    /// What is done under it.
    #[serde(default)]
    pub operation: String,
    /// Further words.
    #[serde(default)]
    pub info: String,
    /// user@host.
    #[serde(default)]
    pub who: String,
    /// Version of the program.
    #[serde(default)]
    pub version: String,
    /// Since when.
    #[serde(default)]
    pub created: String,
    /// State file.
    #[serde(default)]
    pub path: String,
    /// When the lease ends; only our own locks have that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, who, operation, created, id, .. } = self;
        write!(f, "state {path} is locked by {who} for {operation} since {created} (lock {id})")?;
        match self.expires {
            Some(expires) => write!(f, "; the lease ends at {expires:.0} unless it is renewed"),
            None => write!(f, "; this is a lock of Terraform, which only its holder or `terraform force-unlock` frees"),
        }
    }
}

/// Where the lock files of an environment are.
#[derive(Clone, Debug)]
pub struct LockFiles {
    /// Ours.
    pub lease: PathBuf,
    /// Held by the system's file lock while the lease file is read and written.
    pub guard: PathBuf,
    /// Terraform's, beside the state file.
    pub foreign: PathBuf,
    /// State file, for the message.
    pub state: PathBuf,
}

/// A lease that is held until it is dropped or lost.
#[derive(Debug)]
pub struct Lease {
    files: LockFiles,
    holder: Holder,
    lost: CancellationToken,
    renewal: tokio::task::JoinHandle<()>,
}

impl Lease {
    /// Takes the lease, or waits for it: 1 s, doubled up to 16 s, until `timeout` is over. `waiting` is told whom for.
    pub async fn acquire(
        files: LockFiles,
        operation: &str,
        times: LeaseTimes,
        clock: Arc<dyn Clock>,
        timeout: Duration,
        waiting: &(dyn Fn(&Holder) + Sync),
    ) -> Result<Self, ProvisionError> {
        let (mut waited, mut pause) = (Duration::ZERO, Duration::from_secs(1));
        loop {
            let deadline = tokio::time::Instant::now() + times.length;
            match take(&files, operation, times, clock.now())? {
                Ok(holder) => return Ok(Self::start(files, holder, times, clock, deadline)),
                Err(holder) if waited >= timeout => return Err(ProvisionError::Locked(Box::new(holder))),
                Err(holder) => waiting(&holder),
            }
            let pause_now = pause.min(timeout.saturating_sub(waited));
            tokio::time::sleep(pause_now).await;
            waited += pause_now;
            pause = (pause * 2).min(MAX_RETRY);
        }
    }

    fn start(
        files: LockFiles,
        holder: Holder,
        times: LeaseTimes,
        clock: Arc<dyn Clock>,
        deadline: tokio::time::Instant,
    ) -> Self {
        let lost = CancellationToken::new();
        let task = renew(files.clone(), holder.clone(), times, clock, lost.clone(), deadline);
        Self { files, holder, lost, renewal: tokio::spawn(task) }
    }

    /// Ends when the lease is lost.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Who we are.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        if let Ok(_guard) = guard(&self.files.guard)
            && read(&self.files.lease).is_some_and(|h| h.id == self.holder.id)
        {
            let _gone = std::fs::remove_file(&self.files.foreign);
            let _gone = std::fs::remove_file(&self.files.lease);
        }
    }
}

async fn renew(
    files: LockFiles,
    holder: Holder,
    times: LeaseTimes,
    clock: Arc<dyn Clock>,
    lost: CancellationToken,
    mut deadline: tokio::time::Instant,
) {
    loop {
        tokio::time::sleep(times.renew_every).await;
        let before = tokio::time::Instant::now();
        if before >= deadline {
            break;
        }
        match write_renewal(&files, &holder, times, clock.now()) {
            Ok(true) => deadline = before + times.length,
            Ok(false) => break,
            // A disk that does not take it now may take it at the next turn, until the deadline.
            Err(error) => tracing::warn!(%error, "the lease was not renewed"),
        }
    }
    lost.cancel();
}

/// Whether the lease was still ours and is renewed.
fn write_renewal(
    files: &LockFiles,
    holder: &Holder,
    times: LeaseTimes,
    now: Timestamp,
) -> Result<bool, ProvisionError> {
    let _guard = guard(&files.guard)?;
    if read(&files.lease).is_none_or(|h| h.id != holder.id) {
        return Ok(false);
    }
    write(&files.lease, &Holder { expires: Some(until(now, times)), ..holder.clone() })?;
    Ok(true)
}

/// One try: our lease, or who holds it.
fn take(
    files: &LockFiles,
    operation: &str,
    times: LeaseTimes,
    now: Timestamp,
) -> Result<Result<Holder, Holder>, ProvisionError> {
    let _guard = guard(&files.guard)?;
    let ours = read(&files.lease);
    if let Some(holder) = ours.as_ref().filter(|h| h.expires.is_some_and(|e| e > now)) {
        return Ok(Err(holder.clone()));
    }
    if let Some(foreign) = read(&files.foreign).filter(|f| ours.as_ref().is_none_or(|o| o.id != f.id)) {
        return Ok(Err(foreign));
    }
    let holder = Holder {
        id: uuid::Uuid::new_v4().to_string(),
        operation: operation.to_owned(),
        info: String::new(),
        who: who(),
        version: format!("lem {}", env!("CARGO_PKG_VERSION")),
        created: now.to_string(),
        path: files.state.display().to_string(),
        expires: Some(until(now, times)),
    };
    write(&files.lease, &holder)?;
    write(&files.foreign, &Holder { expires: None, ..holder.clone() })?;
    Ok(Ok(holder))
}

/// Who holds the lock now, if anybody does.
pub fn holder(files: &LockFiles, now: Timestamp) -> Option<Holder> {
    let ours = read(&files.lease);
    if let Some(holder) = ours.clone().filter(|h| h.expires.is_some_and(|e| e > now)) {
        return Some(holder);
    }
    read(&files.foreign).filter(|f| ours.is_none_or(|o| o.id != f.id))
}

/// Frees a lock by its identity, as somebody asked by hand. `false` when there is no lock of that identity.
pub fn unlock(files: &LockFiles, id: &str) -> Result<bool, ProvisionError> {
    let _guard = guard(&files.guard)?;
    let mut freed = false;
    for path in [&files.lease, &files.foreign] {
        if read(path).is_some_and(|h| h.id == id) {
            std::fs::remove_file(path).map_err(io("remove", path))?;
            freed = true;
        }
    }
    Ok(freed)
}

fn until(now: Timestamp, times: LeaseTimes) -> Timestamp {
    let length = SignedDuration::try_from(times.length).unwrap_or(SignedDuration::from_mins(1));
    now.saturating_add(length).expect("a duration saturates")
}

fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{user}@{} (process {})", if host.is_empty() { "unknown" } else { host }, std::process::id())
}

/// The system's lock on a file; it frees itself with the process.
fn guard(path: &Path) -> Result<File, ProvisionError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(io("open", path))?;
    file.lock().map_err(io("lock", path))?;
    Ok(file)
}

fn read(path: &Path) -> Option<Holder> {
    let text = std::fs::read_to_string(path).ok()?;
    // A lock file that does not read is still a lock.
    Some(serde_json::from_str(&text).unwrap_or_else(|_| Holder {
        id: "unreadable".to_owned(),
        operation: "unknown".to_owned(),
        info: String::new(),
        who: "unknown".to_owned(),
        version: String::new(),
        created: "unknown".to_owned(),
        path: path.display().to_string(),
        expires: None,
    }))
}

fn write(path: &Path, holder: &Holder) -> Result<(), ProvisionError> {
    let text = serde_json::to_string(holder).expect("a holder is text");
    crate::store::replace(path, text.as_bytes())
}
