//! `gate: required` as people meet it: what comes late is waited for, what never comes is refused.

use crate::mail::{answer, facts, mail};
use crate::repository::Repository;
use crate::up::{Up, token};
use lem_model::fact::AttestationRecorded;
use lem_model::{Digest, NewEvent};

/// A gate that asks for provenance, in a repository where this program cannot attest: a file stands where the documents
/// would be kept.
fn unattested(gate_wait: &str) -> (Repository, u16) {
    let gate = format!("secure: {{gate: required, gate_wait: {gate_wait}, severity: critical, max_db_age: 36500d}}\n");
    let (repository, port) = mail("", &gate);
    repository.write(".lem/attestations", "");
    (repository, port)
}

#[test]
fn an_attestation_that_comes_late_lets_the_release_out() {
    let (repository, port) = unattested("1h");
    let up = Up::start(&repository);
    let held = facts(&up, "rollout.held", 1).remove(0);
    let why = held["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("the policy gate waits for the signed provenance"), "{held}");
    assert_eq!(answer(port), None);

    let packaged = facts(&up, "artifact.packaged", 1).remove(0);
    let digest = packaged["digest"].as_str().unwrap();
    let fact = AttestationRecorded {
        artifact: digest.into(),
        predicate: "https://slsa.dev/provenance/v1".into(),
        document: Digest::of(b"kept elsewhere"),
        key: "builder".into(),
        components: None,
        sha: None,
    };
    let event = NewEvent::of(&fact, "late".into(), jiff::Timestamp::now(), "/builder").unwrap();
    let token = token(&repository);
    let (status, said) = up.post("/api/v1/events", Some(&token), "application/json", &event.payload);
    assert_eq!(status, 202, "{said}");
    facts(&up, "service.deployed", 1);
    assert_eq!(answer(port).as_deref(), Some("0 letters"));
    let decided = facts(&up, "gate.decided", 1);
    assert_eq!((decided.len(), &decided[0]["answer"]), (1, &"allow".into()), "asked once it could be answered");
}

#[test]
fn an_attestation_that_never_comes_is_refused_with_its_reason() {
    let (repository, port) = unattested("2s");
    let up = Up::start(&repository);
    let refused = facts(&up, "deploy.refused", 1).remove(0);
    let why = refused["why"].as_str().unwrap_or_default();
    let expect =
        "policy denies it: no signed provenance is recorded for this artifact (attesting it failed: cannot use ";
    assert!(why.starts_with(expect) && why.contains(".lem/attestations"), "{refused}");
    assert_eq!(facts(&up, "gate.decided", 1)[0]["answer"], "unknown");
    assert_eq!(answer(port), None);
}
