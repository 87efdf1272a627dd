//! The stage as part of the running program: scans what is merged, records where artifacts come from.

use crate::attest::{self, PROVENANCE};
use crate::base::tree_of;
use crate::config::Policy;
use crate::engine::lockfiles;
use crate::error::SecureError;
use crate::events::{ArtifactPackaged, AttestationRecorded, ChangeMerged, ExceptionGranted, ScanFinished};
use crate::execute::{Scan, ScanOptions, scan};
use crate::gate::{Failures, Gate};
use crate::state::SecureState;
use lem_engine_scan::files::Tree;
use lem_engine_scan::sbom::{About, PREDICATE, cyclonedx};
use lem_engine_scan::sca::{Database, Ecosystem};
use lem_ledger::{Consumer, Filter, PrivateKey, Recorder, View};
use lem_model::fact::MAX_FINDINGS;
use lem_model::port::ResourceGraphs;
use lem_model::text::with_causes;
use lem_model::{Actor, CommitSha, Digest, Event, Fact};
use lem_source::git::Repository;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Source of everything the stage appends.
pub const SOURCE: &str = "/lem/secure";
/// Name of the stage's cursor.
pub const CONSUMER: &str = "secure";
/// Who scans on its own.
const ACTOR: &str = "engine:secure";

/// What the service needs.
pub struct SecureOptions {
    /// Appends under [`SOURCE`].
    pub recorder: Recorder,
    /// Repository whose changes are scanned.
    pub repository: Repository,
    /// Evaluates infrastructure.
    pub graphs: Option<Arc<dyn ResourceGraphs>>,
    /// Advisories.
    pub database: Arc<Database>,
    /// Policy.
    pub policy: Policy,
    /// Signs statements.
    pub key: Arc<PrivateKey>,
    /// Where signed documents are kept, by digest.
    pub data: PathBuf,
}

impl std::fmt::Debug for SecureOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureOptions").field("repository", &self.repository).finish_non_exhaustive()
    }
}

/// The service.
#[derive(Debug, Clone)]
pub struct SecureService {
    options: Arc<SecureOptions>,
    state: View<SecureState>,
    failures: Failures,
}

impl SecureService {
    /// A service over a ledger.
    pub fn new(options: SecureOptions) -> Self {
        let state = View::start(options.recorder.log().clone());
        Self { options: Arc::new(options), state, failures: Failures::default() }
    }

    /// The gate that other stages ask.
    pub fn gate(&self) -> Arc<Gate> {
        let options = &self.options;
        let (recorder, policy) = (options.recorder.clone(), options.policy.clone());
        Arc::new(Gate::new(self.state.clone(), recorder, policy, self.failures.clone()))
    }

    /// What the ledger says.
    pub fn state(&self) -> &View<SecureState> {
        &self.state
    }

    /// Serves until it is cancelled. What cannot be scanned or attested is said and passed; the gate then says why it
    /// knows nothing about it.
    pub async fn serve(&self, cancel: CancellationToken) -> Result<(), SecureError> {
        self.exceptions().await?;
        let log = self.options.recorder.log().clone();
        let filter = Filter::types([ChangeMerged::TYPE, ArtifactPackaged::TYPE]);
        let mut events = log.subscribe(&Consumer::new(CONSUMER), filter).await?;
        loop {
            let event = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = events.next() => event?,
            };
            if let Err(error) = self.handle(&event).await {
                let why = with_causes(&error);
                tracing::warn!("event {}: {why}", event.seq);
                self.failed(&event, why);
            }
            events.ack(event.seq).await?;
        }
    }

    /// Records every exception of the policy that is not recorded yet; one that is changed is another one.
    pub async fn exceptions(&self) -> Result<(), SecureError> {
        for exception in &self.options.policy.exceptions {
            let text = serde_json::to_vec(exception).map_err(|e| SecureError::Exception(e.to_string()))?;
            let id = format!("exception-{}", Digest::of(&text).hex());
            let fact = ExceptionGranted { exception: exception.clone(), by: Actor::from(ACTOR) };
            self.options.recorder.record_as(id, &fact).await?;
        }
        Ok(())
    }

    /// Does what one event asks for. Repeated, it records nothing twice.
    pub async fn handle(&self, event: &Event) -> Result<(), SecureError> {
        if let Some(change) = event.read::<ChangeMerged>() {
            return self.change(&event.id, &change.sha).await;
        }
        match event.read::<ArtifactPackaged>() {
            Some(artifact) => self.artifact(&event.id, &artifact).await,
            None => Ok(()),
        }
    }

    /// Remembers what could not be done about a commit or an artifact.
    fn failed(&self, event: &Event, why: String) {
        if let Some(change) = event.read::<ChangeMerged>() {
            self.failures.keep(change.sha.as_str(), format!("the scan failed: {why}"));
        } else if let Some(artifact) = event.read::<ArtifactPackaged>() {
            self.failures.keep(artifact.digest.as_str(), format!("attesting it failed: {why}"));
        }
    }

    async fn change(&self, id: &str, sha: &CommitSha) -> Result<(), SecureError> {
        let options = &self.options;
        let directory = tree_of(&options.repository, sha)?;
        let today = crate::plan::day_of(options.recorder.clock().now());
        let how = ScanOptions { policy: options.policy.clone(), ..ScanOptions::new(options.database.clone(), today) };
        let found = scan(&directory.path().join("tree"), options.graphs.as_deref(), how).await?;
        let fact = fact(&found, id, Some(sha.clone()), Actor::from(ACTOR));
        options.recorder.record_as(format!("scan-{id}"), &fact).await?;
        Ok(())
    }

    async fn artifact(&self, id: &str, artifact: &ArtifactPackaged) -> Result<(), SecureError> {
        if artifact.digest.is_empty() {
            return Ok(());
        }
        let options = &self.options;
        let directory = tree_of(&options.repository, &artifact.sha)?;
        let (bill, components) = bill(&directory.path().join("tree"), artifact);
        let now = options.recorder.clock().now();
        let origin = attest::provenance(artifact, &options.repository.name(), now);
        let statement = attest::bill(&artifact.purl, &artifact.digest, &bill);
        for (predicate, statement, components) in [(PREDICATE, statement, Some(components)), (PROVENANCE, origin, None)]
        {
            let document = self.keep(&statement)?;
            let fact = AttestationRecorded {
                artifact: artifact.digest.clone(),
                predicate: predicate.into(),
                document,
                key: options.key.public().id(),
                components,
                sha: Some(artifact.sha.clone()),
            };
            let kind = if components.is_some() { "bill" } else { "provenance" };
            options.recorder.record_as(format!("{kind}-{id}"), &fact).await?;
        }
        Ok(())
    }

    /// Signs a statement and keeps the envelope under its digest, on the disk before anybody is told.
    fn keep(&self, statement: &Value) -> Result<Digest, SecureError> {
        let envelope = attest::sign(statement, &self.options.key);
        let bytes = serde_json::to_vec(&envelope).map_err(|e| SecureError::Attestation(e.to_string()))?;
        let digest = Digest::of(&bytes);
        let path = document_path(&self.options.data, &digest);
        let wrong = |source| SecureError::File { path: path.clone(), source };
        std::fs::create_dir_all(&self.options.data).map_err(wrong)?;
        let part = path.with_extension("part");
        let write = || {
            std::fs::write(&part, &bytes)?;
            std::fs::File::open(&part)?.sync_all()?;
            std::fs::rename(&part, &path)
        };
        write().map_err(wrong)?;
        Ok(digest)
    }
}

/// Where a signed document is kept.
pub fn document_path(data: &Path, document: &Digest) -> PathBuf {
    data.join(format!("{}.dsse.json", document.hex()))
}

/// The bill of materials of the tree an artifact was made from.
fn bill(tree: &Path, artifact: &ArtifactPackaged) -> (Value, u32) {
    let lockfiles: Vec<_> =
        lockfiles(&Tree::list(tree)).into_iter().map(|(path, lock)| (path, lock.packages)).collect();
    let name = if artifact.name.is_empty() { artifact.purl.clone() } else { artifact.name.clone() };
    let about = About {
        name,
        version: Some(artifact.sha.to_string()),
        sha256: Some(artifact.digest.hex().to_owned()),
        time: None,
    };
    let document = cyclonedx(&about, &lockfiles);
    let components = document["components"].as_array().map_or(0, Vec::len) as u32;
    (document, components)
}

/// A scan as the fact that records it.
pub fn fact(scan: &Scan, id: &str, sha: Option<CommitSha>, by: Actor) -> ScanFinished {
    let covered = scan.advisories.iter().filter_map(|(_, day)| *day).min();
    ScanFinished {
        scan: id.to_owned(),
        input: scan.input.clone(),
        rules: scan.rules.clone(),
        advisories_date: covered.map(|d| d.to_string()).unwrap_or_default(),
        findings: scan.findings.iter().take(MAX_FINDINGS).cloned().collect(),
        findings_omitted: scan.findings.len().saturating_sub(MAX_FINDINGS) as u32,
        unknown: scan.unknown.len() as u32,
        sha,
        by,
    }
}

/// Ecosystems nothing is known about.
pub fn uncovered(scan: &Scan) -> Vec<Ecosystem> {
    scan.advisories.iter().filter(|(_, day)| day.is_none()).map(|(e, _)| *e).collect()
}
