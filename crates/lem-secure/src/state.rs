//! What the ledger says about security: a fold over its events.

use crate::events::*;
use lem_ledger::Projection;
use lem_model::finding::Exception;
use lem_model::{CommitSha, Digest, EnvironmentName, Event, Fact, Seq, ServiceName, Version};
use std::collections::BTreeMap;

/// Gate answers that are kept for reports.
const MAX_GATES: usize = 500;

/// A scan and the event that recorded it.
#[derive(Clone, Debug)]
pub struct Recorded<T> {
    /// The fact.
    pub fact: T,
    /// Its event.
    pub event: Seq,
    /// When it happened, as its source says.
    pub at: jiff::Timestamp,
    /// When the ledger got it.
    pub received: jiff::Timestamp,
}

/// What runs somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Version.
    pub version: Version,
    /// Its commit, where it is known.
    pub sha: Option<CommitSha>,
    /// Event that says so.
    pub event: Seq,
}

/// The state.
#[derive(Clone, Debug, Default)]
pub struct SecureState {
    /// Latest scan by commit.
    pub scans: BTreeMap<CommitSha, Recorded<ScanFinished>>,
    /// Commit of the latest scan.
    pub latest: Option<CommitSha>,
    /// Artifacts by digest.
    pub artifacts: BTreeMap<Digest, Recorded<ArtifactPackaged>>,
    /// Statements by artifact.
    pub attestations: BTreeMap<Digest, Vec<Recorded<AttestationRecorded>>>,
    /// Exceptions that were granted.
    pub exceptions: Vec<Recorded<Exception>>,
    /// Gate answers, latest last.
    pub gates: Vec<Recorded<GateDecided>>,
    /// What runs.
    pub running: BTreeMap<(EnvironmentName, ServiceName), Running>,
    commits: BTreeMap<(ServiceName, Version), CommitSha>,
}

fn recorded<F: Fact>(event: &Event) -> Option<Recorded<F>> {
    event.read::<F>().map(|fact| Recorded {
        fact,
        event: event.seq,
        at: event.time_occurred,
        received: event.time_received,
    })
}

impl Projection for SecureState {
    const NAME: &'static str = "secure";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        if let Some(scan) = recorded::<ScanFinished>(event) {
            if let Some(sha) = scan.fact.sha.clone() {
                self.latest = Some(sha.clone());
                self.scans.insert(sha, scan);
            }
        } else if let Some(artifact) = recorded::<ArtifactPackaged>(event) {
            self.artifacts.insert(artifact.fact.digest.clone(), artifact);
        } else if let Some(attestation) = recorded::<AttestationRecorded>(event) {
            self.attestations.entry(attestation.fact.artifact.clone()).or_default().push(attestation);
        } else if let Some(granted) = recorded::<ExceptionGranted>(event) {
            let Recorded { fact, event, at, received } = granted;
            self.exceptions.push(Recorded { fact: fact.exception, event, at, received });
        } else if let Some(gate) = recorded::<GateDecided>(event) {
            self.gates.push(gate);
            if self.gates.len() > MAX_GATES {
                self.gates.remove(0);
            }
        } else {
            self.deployments(event);
        }
    }
}

impl SecureState {
    fn deployments(&mut self, event: &Event) {
        let seq = event.seq;
        if let Some(f) = event.read::<ServiceDeployed>() {
            self.runs(f.environment.id, f.service, f.version, Some(f.sha), seq);
        } else if let Some(f) = event.read::<ServiceUpgraded>() {
            self.runs(f.environment.id, f.service, f.version, Some(f.sha), seq);
        } else if let Some(f) = event.read::<ServiceRolledBack>() {
            // The event names the commit that was taken off; the one that runs again was deployed before.
            let sha = self.commits.get(&(f.service.clone(), f.version.clone())).cloned();
            self.runs(f.environment.id, f.service, f.version, sha, seq);
        } else if let Some(f) = event.read::<ServiceRemoved>() {
            self.running.remove(&(f.environment.id.into(), f.service));
        }
    }

    fn runs(
        &mut self,
        environment: String,
        service: ServiceName,
        version: Version,
        sha: Option<CommitSha>,
        event: Seq,
    ) {
        let sha = sha.filter(|s| !s.is_empty());
        if let Some(sha) = &sha {
            self.commits.insert((service.clone(), version.clone()), sha.clone());
        }
        self.running.insert((environment.into(), service), Running { version, sha, event });
    }

    /// The scan of the latest commit.
    pub fn latest_scan(&self) -> Option<&Recorded<ScanFinished>> {
        self.scans.get(self.latest.as_ref()?)
    }
}
