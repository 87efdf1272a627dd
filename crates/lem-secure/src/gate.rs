//! The policy gate that other stages ask, answered from the ledger.
//!
//! Deploy hears of an artifact at the same time as this stage does, so that the first question may come before the
//! artifact is attested and its commit scanned. The gate then says what it waits for and until when: a span that begins
//! where the ledger got the artifact, or where this gate opened when that was later, because a program that was down
//! could record nothing. After it the answer is given by what is there, and says what is missing and why.

use crate::attest::PROVENANCE;
use crate::config::{GateMode, Policy};
use crate::events::GateDecided;
use crate::plan::{Question, Scanned, Verdict, decide};
use crate::state::SecureState;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{LedgerError, Recorder, View};
use lem_model::Digest;
use lem_model::finding::{Finding, Subject};
use lem_model::port::{GateAnswer, GateWait, PolicyGate, Scope, SourceError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Failures that are remembered.
const MAX_FAILURES: usize = 1_000;

/// What this life of the stage could not do, by the commit or the digest it is about: so that a verdict can say why
/// something is missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(Arc<Mutex<BTreeMap<String, String>>>);

impl Failures {
    pub(crate) fn keep(&self, about: &str, why: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_FAILURES {
            kept.insert(about.to_owned(), why);
        }
    }

    fn about(&self, about: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(about).cloned()
    }
}

/// The gate.
#[derive(Clone, Debug)]
pub struct Gate {
    state: View<SecureState>,
    recorder: Recorder,
    policy: Policy,
    opened: Timestamp,
    failures: Failures,
}

impl Gate {
    /// Answers from this state, recording every answer.
    pub(crate) fn new(state: View<SecureState>, recorder: Recorder, policy: Policy, failures: Failures) -> Self {
        let opened = recorder.clock().now();
        Self { state, recorder, policy, opened, failures }
    }

    /// The verdict about an artifact, as the ledger stands.
    pub fn verdict(&self, digest: &Digest) -> Verdict {
        let now = self.recorder.clock().now();
        let question = self.state.read(|state| self.question(state, digest));
        decide(&question, self.policy.threshold, self.policy.max_db_age_days, crate::plan::day_of(now))
    }

    /// What the state knows about an artifact.
    fn question(&self, state: &SecureState, digest: &Digest) -> Question {
        let artifact = state.artifacts.get(digest);
        let signed = state.attestations.get(digest).into_iter().flatten().any(|a| a.fact.predicate == PROVENANCE);
        let scan = artifact.and_then(|a| state.scans.get(&a.fact.sha));
        let scanned = scan.map(|scan| Scanned {
            advisories: scan.fact.advisories_date.parse().ok(),
            open: scan.fact.findings.iter().filter(|f| f.is_open()).map(|f| (f.severity, short(f))).collect(),
            omitted: scan.fact.findings_omitted,
        });
        let failed = match (signed, artifact) {
            (false, Some(_)) => self.failures.about(digest.as_str()),
            (true, Some(artifact)) if scanned.is_none() => self.failures.about(artifact.fact.sha.as_str()),
            _ => None,
        };
        Question { known: artifact.is_some(), provenance: signed, scanned, failed }
    }

    /// What a verdict about an artifact lacks that may still come, and until when that is waited for.
    fn lacks(&self, state: &SecureState, digest: &Digest) -> Option<(String, Timestamp)> {
        let artifact = state.artifacts.get(digest)?;
        let question = self.question(state, digest);
        let what = match (question.provenance, question.scanned.is_some()) {
            (true, true) => return None,
            (false, true) => "the signed provenance".to_owned(),
            (true, false) => format!("the scan of commit {}", artifact.fact.sha.short()),
            (false, false) => format!("the signed provenance and the scan of commit {}", artifact.fact.sha.short()),
        };
        let failed = question.failed.map(|why| format!("; so far: {why}")).unwrap_or_default();
        let why = format!("the policy gate waits for {what} of the artifact{failed}");
        Some((why, after(artifact.received.max(self.opened), self.policy.patience())))
    }

    /// Returns once the state has all that the ledger has now.
    async fn catch_up(&self) -> Result<(), SourceError> {
        let size = self.recorder.log().size().await.map_err(|e| unreachable(&e))?;
        if let Some(last) = size.checked_sub(1) {
            self.state.wait_for(last).await;
        }
        Ok(())
    }
}

fn after(time: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    time.checked_add(span).unwrap_or(Timestamp::MAX)
}

fn unreachable(error: &LedgerError) -> SourceError {
    SourceError::Unreachable { what: "ledger".into(), why: error.to_string() }
}

/// A finding in a few words.
pub(crate) fn short(finding: &Finding) -> String {
    let subject = match &finding.subject {
        Subject::Resource { address } => address,
        Subject::Package { purl, .. } => purl,
        Subject::File { path } | Subject::History { path, .. } => path,
    };
    format!("{} on {subject}: {}", finding.rule, finding.title)
}

#[async_trait]
impl PolicyGate for Gate {
    async fn may_deploy(&self, scope: &Scope, digest: &Digest) -> Result<GateAnswer, SourceError> {
        self.catch_up().await?;
        let verdict = self.verdict(digest);
        let sha = self.state.read(|s| s.artifacts.get(digest).map(|a| a.fact.sha.clone()));
        let fact = GateDecided {
            gate: "deploy".into(),
            subject: digest.to_string(),
            environment: Some(scope.environment.clone()),
            answer: verdict.word().into(),
            reasons: verdict.reasons().to_vec(),
            sha,
        };
        self.recorder.record(&fact).await.map_err(|e| unreachable(&e))?;
        Ok(match (&verdict, self.policy.gate) {
            (Verdict::Allow, _) | (_, GateMode::Warn) => GateAnswer::Allow,
            (Verdict::Deny(reasons) | Verdict::Unknown(reasons), GateMode::Required) => {
                GateAnswer::Deny(reasons.join("; "))
            }
        })
    }

    async fn waits_for(&self, _scope: &Scope, digest: &Digest) -> Result<Option<GateWait>, SourceError> {
        self.catch_up().await?;
        let lacks = self.state.read(|state| self.lacks(state, digest));
        let now = self.recorder.clock().now();
        Ok(lacks.filter(|(_, until)| now < *until).map(|(why, until)| GateWait { why, until }))
    }
}
