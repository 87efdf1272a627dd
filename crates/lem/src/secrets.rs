//! The secret store of a loop, and how its secrets reach jobs and services: as leases, never as settings.
//!
//! A job's secrets are the keys of one key-value secret, `secret/pipeline`; a service's are named in its release by path
//! and key, `shop/database#password`.

use async_trait::async_trait;
use lem_engine_vault::{AuditRecord, Options, Vault, VaultError};
use lem_ledger::Recorder;
use lem_model::fact::{LeaseIssued, LeaseRevoked, SecretChanged};
use lem_model::port::{SecretSource, SourceError};
use lem_model::{Actor, Clock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Folder of the store in the data directory.
const FOLDER: &str = "vault";
/// Secret whose keys are the secrets of jobs.
pub(crate) const PIPELINE: &str = "secret/pipeline";
/// How long a lease lasts when its holder never says that it ended.
const LEASE_SECONDS: u64 = 6 * 3600;
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
            Some((path, key)) if path.contains('/') => (path.to_owned(), key),
            Some((path, key)) => (format!("secret/{path}"), key),
            None => (PIPELINE.to_owned(), name),
        }
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
        let (vault, holder) = (Arc::clone(&self.vault), to.to_owned());
        let ended = tokio::task::spawn_blocking(move || vault.revoke(&holder)).await;
        for lease in ended.map_err(|e| unreachable(e.to_string()))?.map_err(|e| unreachable(e.to_string()))? {
            let fact = LeaseRevoked { lease: lease.id, why: format!("{to} ended") };
            self.recorder.record(&fact).await.map_err(|e| unreachable(e.to_string()))?;
        }
        Ok(())
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
