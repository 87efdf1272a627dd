//! The secret store of a loop, and how its secrets reach jobs and services: as leases, never as settings.
//!
//! A job's secrets are the keys of one key-value secret, `secret/pipeline`; a service's are named in `lem.yaml` by path
//! and key, `shop/database#password`.

use async_trait::async_trait;
use lem_engine_vault::{AuditRecord, Options, Vault, VaultError};
use lem_ledger::Recorder;
use lem_model::fact::{LeaseIssued, LeaseRevoked, SecretChanged};
use lem_model::port::{SecretSource, SourceError};
use lem_model::{Actor, Clock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Folder of the store in the data directory.
const FOLDER: &str = "vault";
/// Secret whose keys are the secrets of jobs.
pub(crate) const PIPELINE: &str = "secret/pipeline";
/// How long a lease lasts when its holder never says that it ended.
const LEASE_SECONDS: u64 = 6 * 3600;
/// How often the leases of instances that live are extended.
const EXTEND_EVERY: Duration = Duration::from_hours(1);
/// Beginning of a holder's name that is an instance of a service.
const INSTANCE: &str = "instance:";
/// Records of the store that wait for the ledger.
const RECORDS_WAITING: usize = 10_000;

/// Where the store of a data directory is.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// Opens the store, with the server's token as its root token. What it records is told to `listener`.
pub(crate) fn open(
    data: &Path,
    token: &str,
    listener: Option<lem_engine_vault::Listener>,
) -> Result<Vault, VaultError> {
    let clock: Arc<dyn Clock> = Arc::new(lem_ledger::SystemClock);
    Vault::open(Options { folder: folder(data), key_file: None, root_token: Some(token.to_owned()), clock, listener })
}

/// Secrets of the store for jobs and services, with the ledger told of every lease and change.
pub(crate) struct Secrets {
    vault: Arc<Vault>,
    recorder: Recorder,
}

/// Records of the store on their way to the ledger.
pub(crate) struct Ear {
    send: mpsc::Sender<AuditRecord>,
    receive: mpsc::Receiver<AuditRecord>,
}

impl Ear {
    pub(crate) fn new() -> Self {
        let (send, receive) = mpsc::channel(RECORDS_WAITING);
        Self { send, receive }
    }

    /// For the store: takes what it records. The audit file has every record; the ledger needs only the changes.
    pub(crate) fn listener(&self) -> lem_engine_vault::Listener {
        let send = self.send.clone();
        Arc::new(move |record| {
            if change(record).is_some() && send.try_send(record.clone()).is_err() {
                tracing::error!(
                    path = record.path,
                    "the ledger is behind: a change of a secret stands in the audit file alone"
                );
            }
        })
    }

    /// Tells the ledger of changes until the store is gone.
    pub(crate) async fn serve(mut self, recorder: Recorder) -> Result<(), lem_ledger::LedgerError> {
        drop(self.send);
        while let Some(record) = self.receive.recv().await {
            if let Some(fact) = change(&record) {
                recorder.record(&fact).await?;
            }
        }
        Ok(())
    }
}

/// The change of a secret that a record tells of, if it does.
fn change(record: &AuditRecord) -> Option<SecretChanged> {
    if !(200..300).contains(&record.status) {
        return None;
    }
    let mut parts = record.path.splitn(3, '/');
    let (mount, part, key) = (parts.next()?, parts.next()?, parts.next()?);
    if matches!(mount, "sys" | "auth" | "cubbyhole" | "identity") {
        return None;
    }
    let action = match (part, record.operation.as_str()) {
        ("data", "update" | "patch") => "written",
        ("data", "delete") | ("delete", "update") => "deleted",
        ("undelete", "update") => "restored",
        ("destroy", "update") | ("metadata", "delete") => "destroyed",
        _ => return None,
    };
    let by = Actor::from(format!("vault:{}", record.who));
    Some(SecretChanged {
        secret: format!("{mount}/{key}"),
        action: action.to_owned(),
        version: record.version.unwrap_or(0),
        by,
    })
}

impl Secrets {
    pub(crate) fn new(vault: Arc<Vault>, recorder: Recorder) -> Self {
        Self { vault, recorder }
    }

    /// Path and key of a secret by its name: `PATH#KEY`, or a key of [`PIPELINE`].
    fn place(name: &str) -> (String, &str) {
        match name.split_once('#') {
            // As `lem secret` writes paths: with or without the mount.
            Some((path, key)) if path.starts_with("secret/") => (path.to_owned(), key),
            Some((path, key)) => (format!("secret/{path}"), key),
            None => (PIPELINE.to_owned(), name),
        }
    }

    /// Ends what instances of an earlier life of the program hold: none of them lives any more.
    pub(crate) async fn end_instances(&self) -> Result<(), SourceError> {
        for holder in self.instances().await? {
            self.ended(&holder, "lem ended while it ran").await?;
        }
        Ok(())
    }

    /// Extends what living instances hold, until cancelled: an instance may live longer than a lease.
    pub(crate) async fn extend(&self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(EXTEND_EVERY) => {}
            }
            if let Err(error) = self.extend_once().await {
                tracing::warn!(%error, "leases of instances were not extended; tried again later");
            }
        }
    }

    async fn extend_once(&self) -> Result<(), SourceError> {
        for holder in self.instances().await? {
            self.blocking(move |vault| vault.extend(&holder, LEASE_SECONDS)).await?;
        }
        Ok(())
    }

    async fn instances(&self) -> Result<Vec<String>, SourceError> {
        let holders = self.blocking(Vault::holders).await?;
        Ok(holders.into_iter().filter(|holder| holder.starts_with(INSTANCE)).collect())
    }

    /// The store writes to disk: not on a thread that others wait for.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let vault = Arc::clone(&self.vault);
        let done = tokio::task::spawn_blocking(move || work(&vault)).await;
        done.map_err(|e| unreachable(e.to_string()))?.map_err(|e| unreachable(e.to_string()))
    }

    async fn ended(&self, holder: &str, why: &str) -> Result<(), SourceError> {
        let to = holder.to_owned();
        for lease in self.blocking(move |vault| vault.revoke(&to)).await? {
            let fact = LeaseRevoked { lease: lease.id, why: why.to_owned() };
            self.recorder.record(&fact).await.map_err(|e| unreachable(e.to_string()))?;
        }
        Ok(())
    }

    async fn leased(&self, name: &str, to: &str) -> Result<Option<String>, SourceError> {
        let (path, key) = Self::place(name);
        let (vault, holder) = (Arc::clone(&self.vault), to.to_owned());
        let asked = tokio::task::spawn_blocking(move || vault.lease(&path, &holder, LEASE_SECONDS)).await;
        let leased = match asked.map_err(|e| unreachable(e.to_string()))? {
            Ok(leased) => leased,
            Err(VaultError::Missing(_)) => return Ok(None),
            Err(error) => return Err(unreachable(error.to_string())),
        };
        let Some((_, value)) = leased.values.iter().find(|(k, _)| k == key) else { return Ok(None) };
        let expires = jiff::Timestamp::from_second(leased.lease.expires).unwrap_or(jiff::Timestamp::MAX);
        let fact = LeaseIssued {
            lease: leased.lease.id.clone(),
            secret: leased.lease.secret.clone(),
            to: to.to_owned(),
            expires,
        };
        self.recorder.record(&fact).await.map_err(|e| unreachable(e.to_string()))?;
        Ok(Some(value.to_string()))
    }
}

fn unreachable(why: String) -> SourceError {
    SourceError::Unreachable { what: "the secret store".into(), why }
}

#[async_trait]
impl SecretSource for Secrets {
    async fn secret(&self, name: &str) -> Result<Option<String>, SourceError> {
        self.leased(name, "command").await
    }

    async fn names(&self) -> Result<Vec<String>, SourceError> {
        self.vault.keys(PIPELINE).map_err(|e| unreachable(e.to_string()))
    }

    async fn lease(&self, name: &str, to: &str) -> Result<Option<String>, SourceError> {
        self.leased(name, to).await
    }

    async fn release(&self, to: &str) -> Result<(), SourceError> {
        self.ended(to, &format!("{to} ended")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_places() {
        for (name, expect) in [
            ("NPM_TOKEN", (PIPELINE, "NPM_TOKEN")),
            ("database#password", ("secret/database", "password")),
            ("secret/shop/database#password", ("secret/shop/database", "password")),
            ("shop/database#password", ("secret/shop/database", "password")),
        ] {
            let (path, key) = Secrets::place(name);
            assert_eq!((path.as_str(), key), expect);
        }
    }

    #[test]
    fn changes_are_told_and_reads_are_not() {
        let record = |operation: &str, path: &str, status| AuditRecord {
            operation: operation.into(),
            path: path.into(),
            who: "root".into(),
            status,
            version: Some(2),
        };
        for (operation, path, status, expect) in [
            ("update", "secret/data/shop/db", 200, Some("written")),
            ("delete", "secret/data/shop/db", 204, Some("deleted")),
            ("delete", "secret/metadata/shop/db", 204, Some("destroyed")),
            ("update", "secret/destroy/shop/db", 204, Some("destroyed")),
            ("read", "secret/data/shop/db", 200, None),
            ("update", "secret/data/shop/db", 403, None),
            ("update", "sys/policies/acl/a", 204, None),
        ] {
            let told = change(&record(operation, path, status));
            assert_eq!(told.as_ref().map(|f| f.action.as_str()), expect, "{operation} {path} {status}");
            if let Some(fact) = told {
                assert_eq!(fact.secret, "secret/shop/db");
            }
        }
    }
}
