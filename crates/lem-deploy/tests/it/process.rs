//! The process target with real children.

use async_trait::async_trait;
use lem_deploy::config::Process;
use lem_deploy::engine::process::{HealthChecks, ProcessOptions, ProcessTarget};
use lem_deploy::engine::{Happening, Observed, Target, VersionSpec};
use lem_deploy::events::MigrationClass;
use lem_deploy::plan::Readiness;
use lem_deploy::state::Placed;
use lem_model::Digest;
use lem_model::port::{ArtifactSource, LogLine, LogSink, SourceError};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A small web service; what it does is up to the files beside it.
pub(crate) const SERVER: &str = r#"
import os, signal, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
if os.path.exists("broken"):
    print("no configuration found", file=sys.stderr, flush=True)
    sys.exit(3)
if os.path.exists("family"):
    # A grandchild in a session of its own, as a daemon would be.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if os.path.exists("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
served = 0
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global served
        served += 1
        fail = self.path != "/up" and os.path.exists("bad") and served % 3 == 0
        body = os.environ["LEM_VERSION"].encode()
        self.send_response(500 if fail else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 128
print("listening", os.environ["SERVICE_VERSION"], os.environ["COLOR"], flush=True)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Artifacts with the server and the files its digest names: `sha256:bad-1`.
#[derive(Default)]
pub(crate) struct Artifacts {
    pub(crate) unpacked: Mutex<Vec<Digest>>,
}

#[async_trait]
impl ArtifactSource for Artifacts {
    async fn unpack(&self, digest: &Digest, into: &Path) -> Result<(), SourceError> {
        self.unpacked.lock().push(digest.clone());
        std::fs::write(into.join("server.py"), SERVER).unwrap();
        for flag in ["bad", "broken", "family", "stubborn"] {
            if digest.hex().contains(flag) {
                std::fs::write(into.join(flag), "").unwrap();
            }
        }
        Ok(())
    }
}

/// Keeps every line.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<LogLine>>);

impl LogSink for Lines {
    fn write(&self, line: LogLine) {
        self.0.lock().push(line);
    }
}

pub(crate) fn process() -> Process {
    Process {
        command: vec!["python3".into(), "server.py".into()],
        env: vec![("COLOR".into(), "green".into())],
        secrets: vec![],
        health: "/up".into(),
        metrics: None,
        replicas: 1,
        drain: Duration::from_millis(500),
    }
}

pub(crate) const CHECKS: HealthChecks =
    HealthChecks { interval: Duration::from_millis(50), in_a_row: 2, timeout: Duration::from_secs(2) };

async fn target(root: &Path, lines: &Arc<Lines>, artifacts: &Arc<Artifacts>) -> Arc<ProcessTarget> {
    ProcessTarget::start(ProcessOptions {
        root: root.to_owned(),
        processes: [(crate::fake::scope(), process())].into(),
        artifacts: artifacts.clone(),
        logs: Some(lines.clone()),
        secrets: None,
        clock: crate::fake::HandClock::start(),
        checks: CHECKS,
    })
    .await
    .unwrap()
}

pub(crate) fn spec(name: &str) -> VersionSpec {
    let placed = Placed {
        version: name.into(),
        sha: name.into(),
        digest: format!("sha256:{name}").into(),
        purl: String::new(),
        deployment: "d".into(),
        migration: MigrationClass::None,
        since: jiff::Timestamp::UNIX_EPOCH,
    };
    VersionSpec { scope: crate::fake::scope(), placed, config: Digest::of(b""), min_ready: Duration::ZERO }
}

/// Looks until it is so; what happened on the way is kept.
pub(crate) async fn until(
    target: &ProcessTarget,
    happened: &mut Vec<Happening>,
    is_so: impl Fn(&Observed) -> bool,
) -> Observed {
    let mut changes = target.changes();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let mut seen = target.observe(&crate::fake::scope()).await.unwrap();
        happened.append(&mut seen.happened);
        if is_so(&seen) {
            return seen;
        }
        let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        assert!(tokio::time::Instant::now() < deadline, "waited too long: {seen:?} {happened:?}");
    }
}

pub(crate) fn ready(n: usize) -> impl Fn(&Observed) -> bool {
    move |seen| seen.instances.iter().filter(|i| i.readiness == Readiness::Ready).count() == n
}

pub(crate) fn none(seen: &Observed) -> bool {
    seen.instances.is_empty()
}

fn exits(happened: &[Happening]) -> Vec<(&str, bool)> {
    let exit = |h: &'_ Happening| match h {
        Happening::Exited { .. } => true,
        Happening::Started { .. } => false,
    };
    happened
        .iter()
        .filter(|h| exit(h))
        .map(|h| match h {
            Happening::Exited { status, expected, .. } => (status.as_str(), *expected),
            Happening::Started { .. } => ("", false),
        })
        .collect()
}

pub(crate) fn first_started(happened: &[Happening]) -> (String, u32) {
    let started = happened.iter().find_map(|h| match h {
        Happening::Started { instance, pid: Some(pid), .. } => Some((instance.clone(), *pid)),
        _ => None,
    });
    started.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_lives_and_ends() {
    let (dir, lines, artifacts) = (tempfile::tempdir().unwrap(), Arc::default(), Arc::default());
    let target = target(dir.path(), &lines, &artifacts).await;
    let mut happened = vec![];
    target.ensure(&spec("v1"), 2).await.unwrap();
    target.ensure(&spec("v1"), 2).await.unwrap();
    let seen = until(&target, &mut happened, ready(2)).await;
    assert_eq!(seen.instances.len(), 2, "twice asked is once asked");
    assert_ne!(seen.instances[0].address.port(), seen.instances[1].address.port());
    assert_eq!(artifacts.unpacked.lock().len(), 1, "unpacked once per digest");
    let line = lines.0.lock()[0].clone();
    assert_eq!(String::from_utf8_lossy(&line.line), "listening v1 green");
    assert_eq!(
        (line.labels["service_name"].as_str(), line.labels["service_version"].as_str(), line.labels["stream"].as_str()),
        ("shop", "v1", "stdout")
    );
    target.ensure(&spec("v1"), 1).await.unwrap();
    until(&target, &mut happened, |seen| seen.instances.len() == 1).await;
    target.retire(&crate::fake::scope(), &"v1".into(), Duration::from_secs(5)).await.unwrap();
    until(&target, &mut happened, none).await;
    assert_eq!(exits(&happened), [("exit 0", true), ("exit 0", true)]);
    assert_eq!(std::fs::read_dir(dir.path().join("instances")).unwrap().count(), 0, "no note is left");
    target.forget(&[]).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join("versions")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_dies_is_started_again() {
    let (dir, lines, artifacts) = (tempfile::tempdir().unwrap(), Arc::default(), Arc::default());
    let target = target(dir.path(), &lines, &artifacts).await;
    let mut happened = vec![];
    target.ensure(&spec("v1"), 1).await.unwrap();
    until(&target, &mut happened, ready(1)).await;
    let (_, pid) = first_started(&happened);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
    until(&target, &mut happened, ready(0)).await;
    until(&target, &mut happened, ready(1)).await;
    assert_eq!(exits(&happened), [("signal 9", false)]);
    target.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_seen_with_its_last_words() {
    let (dir, lines, artifacts) = (tempfile::tempdir().unwrap(), Arc::default(), Arc::default());
    let target = target(dir.path(), &lines, &artifacts).await;
    let mut happened = vec![];
    target.ensure(&spec("broken"), 1).await.unwrap();
    let seen = until(&target, &mut happened, |seen| !seen.crashed.is_empty()).await;
    let crash = &seen.crashed[&"broken".into()];
    assert_eq!(crash.why, "it ended 3 times in a row before it was ready, last with exit 3");
    assert_eq!(crash.last_lines.last().map(String::as_str), Some("no configuration found"));
    target.retire(&crate::fake::scope(), &"broken".into(), Duration::ZERO).await.unwrap();
    until(&target, &mut happened, none).await;
}

/// Processes that carry an instance's name.
fn alive(instance: &str) -> usize {
    let mark = format!("LEM_INSTANCE={instance}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let carries = |entry: &std::fs::DirEntry| {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environ.split(|b| *b == 0).any(|v| v == mark.as_bytes())
    };
    processes.filter(carries).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_tree_ends_even_when_it_is_stubborn() {
    let (dir, lines, artifacts) = (tempfile::tempdir().unwrap(), Arc::default(), Arc::default());
    let target = target(dir.path(), &lines, &artifacts).await;
    let mut happened = vec![];
    target.ensure(&spec("family-stubborn"), 1).await.unwrap();
    until(&target, &mut happened, ready(1)).await;
    let (instance, _) = first_started(&happened);
    assert_eq!(alive(&instance), 2);
    target.retire(&crate::fake::scope(), &"family-stubborn".into(), Duration::from_millis(200)).await.unwrap();
    until(&target, &mut happened, none).await;
    assert_eq!(alive(&instance), 0);
    assert_eq!(exits(&happened), [("signal 9", true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_an_earlier_life_are_ended() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("instances");
    std::fs::create_dir_all(&notes).unwrap();
    // A child as a killed program leaves it.
    let mut child = std::process::Command::new("python3")
        .args(["-c", "import time; time.sleep(600)"])
        .env("LEM_INSTANCE", "old-one")
        .spawn()
        .unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let start: u64 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    let note =
        |pid: u32, start: u64| serde_json::json!({"pid": pid, "start": start, "instance": "old-one"}).to_string();
    std::fs::write(notes.join("old-one.json"), note(child.id(), start)).unwrap();
    // Our own process id under another start time: a number that was given out again. It must not be touched.
    std::fs::write(notes.join("reused.json"), note(std::process::id(), 1)).unwrap();
    std::fs::write(notes.join("torn.json"), "{\"pid\":").unwrap();
    let waiting = tokio::task::spawn_blocking(move || child.wait().unwrap());
    target(dir.path(), &Arc::default(), &Arc::default()).await;
    let status = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert!(!status.success());
    assert_eq!(std::fs::read_dir(&notes).unwrap().count(), 0);
}
