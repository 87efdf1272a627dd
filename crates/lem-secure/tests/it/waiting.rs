//! The gate is asked before the artifact is attested and its commit scanned.

use crate::serving::{Story, clean_story};
use jiff::SignedDuration;
use lem_model::Digest;
use lem_model::fact::GateDecided;
use lem_model::port::{GateAnswer, GateWait, PolicyGate, Scope};
use lem_secure::GateMode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a gate that opened before waits for.
async fn waits(gate: &Arc<lem_secure::Gate>, digest: &Digest) -> Option<GateWait> {
    let scope = Scope { service: "shop".into(), environment: "production".into() };
    gate.waits_for(&scope, digest).await.unwrap()
}

fn minutes(story: &Story, n: i64) -> jiff::Timestamp {
    lem_model::Clock::now(story.clock.as_ref()).checked_add(SignedDuration::from_mins(n)).unwrap()
}

#[tokio::test]
async fn what_comes_late_is_waited_for_and_then_the_release_goes_out() {
    let mut story = clean_story(GateMode::Required);
    let artifact = story.packaged();
    let short = artifact.sha.short().to_owned();
    let gate = story.service.gate();
    assert_eq!(waits(&gate, &artifact.digest).await, None, "nothing says that this artifact is to come");

    story.recorder.record(&artifact).await.unwrap();
    let wait = waits(&gate, &artifact.digest).await.unwrap();
    let both =
        format!("the policy gate waits for the signed provenance and the scan of commit {short} of the artifact");
    assert_eq!((wait.why, wait.until), (both.clone(), minutes(&story, 2)));

    // Down for an hour: nothing could be recorded, so the time begins anew.
    story.clock.advance(SignedDuration::from_hours(1));
    story.restart();
    let gate = story.service.gate();
    let wait = waits(&gate, &artifact.digest).await.unwrap();
    assert_eq!((wait.why, wait.until), (both, minutes(&story, 2)));

    story.happens(&artifact).await;
    let wait = waits(&gate, &artifact.digest).await.unwrap();
    assert_eq!(wait.why, format!("the policy gate waits for the scan of commit {short} of the artifact"));
    story.happens(&story.repository.change(&artifact.sha, "main").unwrap()).await;
    assert_eq!(waits(&gate, &artifact.digest).await, None);
    assert_eq!(story.ask(&artifact.digest).await, GateAnswer::Allow);
    assert_eq!(story.facts::<GateDecided>()[0].answer, "allow", "no verdict was recorded on the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_comes_is_refused_with_its_reason() {
    let story = clean_story(GateMode::Required);
    // Where documents are kept is a file: nothing can be attested.
    std::fs::write(&story.data, "").unwrap();
    let gate = story.service.gate();
    let artifact = story.packaged();
    story.recorder.record(&story.repository.change(&artifact.sha, "main").unwrap()).await.unwrap();
    story.recorder.record(&artifact).await.unwrap();
    let cancel = CancellationToken::new();
    let (service, stop) = (story.service.clone(), cancel.clone());
    let serving = tokio::spawn(async move { service.serve(stop).await });
    let failed = "attesting it failed: cannot use ";
    while !waits(&gate, &artifact.digest).await.unwrap().why.contains(failed) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    story.clock.advance(SignedDuration::from_mins(2));
    assert_eq!(waits(&gate, &artifact.digest).await, None);
    let scope = Scope { service: "shop".into(), environment: "production".into() };
    let answer = gate.may_deploy(&scope, &artifact.digest).await.unwrap();
    let expect = format!("no signed provenance is recorded for this artifact ({failed}");
    assert!(matches!(&answer, GateAnswer::Deny(why) if why.starts_with(&expect)), "{answer:?}");
    assert_eq!(story.facts::<GateDecided>()[0].answer, "unknown");
    cancel.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_gate_that_only_warns_waits_a_moment() {
    let story = clean_story(GateMode::Warn);
    let gate = story.service.gate();
    let artifact = story.packaged();
    story.recorder.record(&artifact).await.unwrap();
    let until = waits(&gate, &artifact.digest).await.unwrap().until;
    assert_eq!(until.as_second() - lem_model::Clock::now(story.clock.as_ref()).as_second(), 10);
    story.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(waits(&gate, &artifact.digest).await, None);
    assert_eq!(story.ask(&artifact.digest).await, GateAnswer::Allow);
}
