//! The stage on a ledger: what is merged is scanned, what is packaged is attested, the gate answers.

use crate::{git, token, write};
use jiff::Timestamp;
use lem_engine_scan::sca::Database;
use lem_ledger::{EventLog, PrivateKey, Recorder};
use lem_model::fact::{AttestationRecorded, ExceptionGranted, GateDecided, Ref, ScanFinished};
use lem_model::finding::Exception;
use lem_model::port::{GateAnswer, PolicyGate, Scope};
use lem_model::{Digest, Fact};
use lem_secure::events::{ArtifactPackaged, ServiceDeployed};
use lem_secure::report::security_report;
use lem_secure::service::document_path;
use lem_secure::{GateMode, Policy, SecureOptions, SecureService, attest};
use lem_source::git::Repository;
use lem_testkit::{MemoryLog, SeededClock, SeededIds};
use std::path::Path;
use std::sync::Arc;

pub(crate) struct Story {
    _dir: tempfile::TempDir,
    pub(crate) log: MemoryLog,
    pub(crate) clock: Arc<SeededClock>,
    pub(crate) service: SecureService,
    pub(crate) recorder: Recorder,
    pub(crate) repository: Repository,
    key: Arc<PrivateKey>,
    pub(crate) data: std::path::PathBuf,
    mode: GateMode,
}

const LOCK: &str = "version = 4\n[[package]]\nname = \"semver\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n";

/// Covers nothing of the stories.
fn exception() -> Exception {
    Exception {
        covers: "LEM-AWS-0001 aws_s3_bucket.logs".into(),
        owner: "ada".into(),
        approver: "grace".into(),
        reason: "moves next week".into(),
        expires: crate::day("2026-10-01"),
        granted_at: None,
    }
}

/// A repository with a secret in a file.
fn story(mode: GateMode) -> Story {
    story_of(mode, &[("config.env", &format!("T={}\n", token())), ("Cargo.lock", LOCK)])
}

/// A repository nothing is wrong with.
pub(crate) fn clean_story(mode: GateMode) -> Story {
    story_of(mode, &[("Cargo.lock", LOCK)])
}

fn story_of(mode: GateMode, files: &[(&str, &str)]) -> Story {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("repository");
    write(&root, files);
    git(&root, &["init", "-q", "-b", "main"]);
    git(&root, &["add", "."]);
    git(&root, &["commit", "-qm", "one"]);
    let clock = Arc::new(SeededClock::at("2026-09-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    let log = MemoryLog::new(clock.clone());
    let recorder = Recorder::with(Arc::new(log.clone()), "/lem/test", clock.clone(), Arc::new(SeededIds::from(500)));
    let repository = Repository::discover(&root).unwrap();
    let key = Arc::new(PrivateKey::generate("example.com/test").unwrap());
    let data = dir.path().join("data");
    let service = service(&log, &clock, 0, (&repository, &key, &data, mode));
    Story { _dir: dir, log, clock, service, recorder, repository, key, data, mode }
}

fn service(
    log: &MemoryLog,
    clock: &Arc<SeededClock>,
    ids: u64,
    (repository, key, data, mode): (&Repository, &Arc<PrivateKey>, &Path, GateMode),
) -> SecureService {
    let ids = Arc::new(SeededIds::from(ids));
    SecureService::new(SecureOptions {
        recorder: Recorder::with(Arc::new(log.clone()), "/lem/secure", clock.clone(), ids),
        repository: repository.clone(),
        graphs: None,
        database: Arc::new(Database::open(None).unwrap()),
        policy: Policy { gate: mode, exceptions: vec![exception()], ..Policy::default() },
        key: key.clone(),
        data: data.to_owned(),
    })
}

impl Story {
    /// The stage was killed and starts again on the same ledger.
    pub(crate) fn restart(&mut self) {
        self.service = service(&self.log, &self.clock, 10_000, (&self.repository, &self.key, &self.data, self.mode));
    }

    pub(crate) async fn happens<F: Fact>(&self, fact: &F) {
        let at = self.recorder.record(fact).await.unwrap();
        let event = self.log.events().into_iter().find(|e| e.seq == at.seq).unwrap();
        self.service.handle(&event).await.unwrap();
        let last = self.log.size().await.unwrap() - 1;
        self.service.state().wait_for(last).await;
    }

    pub(crate) fn facts<F: Fact>(&self) -> Vec<F> {
        self.log.events().iter().filter_map(lem_model::Event::read).collect()
    }

    /// An artifact of the checked out commit.
    pub(crate) fn packaged(&self) -> ArtifactPackaged {
        let sha = self.repository.resolve("HEAD").unwrap().unwrap();
        ArtifactPackaged {
            change: Ref::to(sha.to_string()),
            purl: format!("pkg:generic/shop@{sha}"),
            name: "shop".into(),
            digest: Digest::of(b"archive"),
            size_bytes: 7,
            run: "r1".into(),
            sha,
            branch: "main".into(),
        }
    }

    async fn artifact(&self) -> ArtifactPackaged {
        let artifact = self.packaged();
        self.happens(&artifact).await;
        artifact
    }

    pub(crate) async fn ask(&self, digest: &Digest) -> GateAnswer {
        let scope = Scope { service: "shop".into(), environment: "production".into() };
        self.service.gate().may_deploy(&scope, digest).await.unwrap()
    }
}

#[tokio::test]
async fn a_change_is_scanned_an_artifact_attested_and_the_gate_knows_both() {
    let story = story(GateMode::Required);
    let sha = story.repository.resolve("HEAD").unwrap().unwrap();
    let unknown = story.ask(&Digest::of(b"archive")).await;
    assert!(matches!(&unknown, GateAnswer::Deny(why) if why.contains("nothing is recorded")), "{unknown:?}");

    let artifact = story.artifact().await;
    let attested = story.facts::<AttestationRecorded>();
    assert_eq!(attested.iter().map(|a| a.components).collect::<Vec<_>>(), [Some(1), None]);
    for recorded in &attested {
        let bytes = std::fs::read(document_path(&story.data, &recorded.document)).unwrap();
        let verified = attest::verify(&bytes, &story.key.public(), Some(&artifact.digest)).unwrap();
        assert_eq!(verified.predicate, recorded.predicate);
        if recorded.predicate == attest::PROVENANCE {
            assert_eq!(attest::commit(&verified), Some(sha.clone()));
        }
    }
    assert!(matches!(story.ask(&artifact.digest).await, GateAnswer::Deny(why) if why.contains("not been scanned")));

    story.happens(&story.repository.change(&sha, "main").unwrap()).await;
    let scans = story.facts::<ScanFinished>();
    assert_eq!((scans.len(), scans[0].findings.len(), scans[0].sha.as_ref()), (1, 1, Some(&sha)));
    assert!(matches!(story.ask(&artifact.digest).await, GateAnswer::Deny(why) if why.contains("LEM-LEAK-0003")));
    let answers: Vec<_> = story.facts::<GateDecided>().into_iter().map(|g| g.answer).collect();
    assert_eq!(answers, ["unknown", "unknown", "deny"]);
    let secret = token();
    assert!(
        story.log.events().iter().all(|e| !e.payload.to_string().contains(&secret[4..16])),
        "no secret in the ledger"
    );
}

#[tokio::test]
async fn a_gate_that_warns_lets_pass_and_says_what_it_thinks() {
    let story = story(GateMode::Warn);
    assert_eq!(story.ask(&Digest::of(b"x")).await, GateAnswer::Allow);
    assert_eq!(story.facts::<GateDecided>()[0].answer, "unknown");
}

#[tokio::test]
async fn an_event_heard_twice_records_nothing_twice() {
    let story = story(GateMode::Warn);
    story.artifact().await;
    let event = story.log.events().into_iter().next().unwrap();
    story.service.handle(&event).await.unwrap();
    assert_eq!(story.facts::<AttestationRecorded>().len(), 2);
}

#[tokio::test]
async fn an_exception_is_recorded_once_with_approver_and_end() {
    let mut story = story(GateMode::Warn);
    story.service.exceptions().await.unwrap();
    story.clock.advance(jiff::SignedDuration::from_hours(1));
    story.restart();
    story.service.exceptions().await.unwrap();
    let granted: Vec<Exception> = story.facts::<ExceptionGranted>().into_iter().map(|g| g.exception).collect();
    assert_eq!(granted, [exception()]);
    story.service.state().wait_for(0).await;
    assert_eq!(story.service.state().read(|s| s.exceptions.len()), 1);
}

#[tokio::test]
async fn the_report_begins_with_findings_on_what_runs() {
    let story = story(GateMode::Warn);
    let sha = story.repository.resolve("HEAD").unwrap().unwrap();
    story.artifact().await;
    story.happens(&story.repository.change(&sha, "main").unwrap()).await;
    let deployed = ServiceDeployed {
        environment: Ref::to("production"),
        artifact_id: "pkg:generic/shop".into(),
        service: "shop".into(),
        version: "v1".into(),
        sha,
        deployment: "d1".into(),
    };
    story.happens(&deployed).await;
    let report = story.service.state().read(|s| security_report(s, Timestamp::UNIX_EPOCH));
    let first = &report.sections[0];
    assert_eq!(first.title, "Findings on what runs now");
    assert_eq!(first.rows[0].cells[..5], ["critical", "shop", "production", "v1", "LEM-LEAK-0003"]);
    assert!(first.rows[0].event.is_some(), "each row leads to its evidence");
    let markdown = report.markdown();
    assert!(markdown.contains("Where artifacts come from") && !markdown.contains(&token()[4..16]));
}
