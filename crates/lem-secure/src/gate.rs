//! The policy gate that other stages ask, answered from the ledger.

use crate::attest::PROVENANCE;
use crate::config::{GateMode, Policy};
use crate::events::GateDecided;
use crate::plan::{Question, Scanned, Verdict, decide};
use crate::state::SecureState;
use async_trait::async_trait;
use lem_ledger::{Recorder, View};
use lem_model::Digest;
use lem_model::finding::{Finding, Subject};
use lem_model::port::{GateAnswer, PolicyGate, Scope, SourceError};

/// The gate.
#[derive(Clone, Debug)]
pub struct Gate {
    state: View<SecureState>,
    recorder: Recorder,
    policy: Policy,
}

impl Gate {
    /// Answers from this state, recording every answer.
    pub fn new(state: View<SecureState>, recorder: Recorder, policy: Policy) -> Self {
        Self { state, recorder, policy }
    }

    /// The verdict about an artifact, as the ledger stands.
    pub fn verdict(&self, digest: &Digest) -> Verdict {
        let question = self.state.read(|state| question(state, digest));
        let today = crate::plan::day_of(self.recorder.clock().now());
        decide(&question, self.policy.threshold, self.policy.max_db_age_days, today)
    }
}

/// What the state knows about an artifact.
fn question(state: &SecureState, digest: &Digest) -> Question {
    let artifact = state.artifacts.get(digest);
    let signed = state.attestations.get(digest).into_iter().flatten().any(|a| a.fact.predicate == PROVENANCE);
    let scan = artifact.and_then(|a| state.scans.get(&a.fact.sha));
    let scanned = scan.map(|scan| Scanned {
        advisories: scan.fact.advisories_date.parse().ok(),
        open: scan.fact.findings.iter().filter(|f| f.is_open()).map(|f| (f.severity, short(f))).collect(),
        omitted: scan.fact.findings_omitted,
    });
    Question { known: artifact.is_some(), provenance: signed, scanned }
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
        let unreachable =
            |e: lem_ledger::LedgerError| SourceError::Unreachable { what: "ledger".into(), why: e.to_string() };
        self.recorder.record(&fact).await.map_err(unreachable)?;
        Ok(match (&verdict, self.policy.gate) {
            (Verdict::Allow, _) | (_, GateMode::Warn) => GateAnswer::Allow,
            (Verdict::Deny(reasons) | Verdict::Unknown(reasons), GateMode::Required) => {
                GateAnswer::Deny(reasons.join("; "))
            }
        })
    }
}
