//! The gates before an apply: what they say is recorded, and so is who goes past one and why.

use super::review::{Gate, Review};
use super::site::Site;
use crate::cli::provision::Apply;
use crate::exit::{Failure, negative, unreachable};
use lem_model::Digest;
use lem_model::fact::GateDecided;
use lem_secure::plan::Verdict;
use lem_secure::service::SOURCE;

/// Asks every gate. An apply that one of them refuses ends here, with its sentence.
pub(super) async fn pass(site: &Site, arguments: &Apply, review: &Review, plan: &Digest) -> Result<(), Failure> {
    let mut refused = vec![];
    for gate in review.gates() {
        let reasons = gate.verdict.reasons();
        record(site, fact(site, &gate, plan, gate.verdict.word(), reasons.to_vec())).await?;
        if gate.verdict == Verdict::Allow {
            continue;
        }
        let sentence = format!("{}: {}", gate.title, reasons.join("; "));
        let given = if gate.name == "budget" { &arguments.override_budget } else { &arguments.override_policy };
        if !gate.required {
            eprintln!("against {sentence} (secure.gate is warn, so this goes on)");
        } else if let Some(why) = given {
            let passed = format!("{} goes past it: {why}", site.by);
            eprintln!("past {sentence}; on record: {passed}");
            let reasons = std::iter::once(passed).chain(reasons.iter().cloned()).collect();
            record(site, fact(site, &gate, plan, Verdict::Allow.word(), reasons)).await?;
        } else {
            refused.push(format!("{sentence}; {} REASON goes past it, on record", gate.flag));
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(negative(format!("refused by {}", refused.join("\nrefused by ")))) }
}

async fn record(site: &Site, fact: GateDecided) -> Result<(), Failure> {
    if let Some(recorder) = site.recorder(SOURCE) {
        recorder.record(&fact).await.map_err(|e| unreachable(format!("ledger: {e}")))?;
    }
    Ok(())
}

fn fact(site: &Site, gate: &Gate, plan: &Digest, answer: &str, reasons: Vec<String>) -> GateDecided {
    GateDecided {
        gate: gate.name.into(),
        subject: plan.to_string(),
        environment: Some(site.environment.target().environment.name.clone()),
        answer: answer.into(),
        reasons,
        sha: site.sha.clone(),
    }
}
