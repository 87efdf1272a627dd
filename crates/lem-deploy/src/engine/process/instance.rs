//! One instance: started, watched, started again, ended.

use super::leftover::{Note, end_tree, signal_group, start_of};
use super::lent::{Lent, Refused};
use super::lines::{self, LastLines, Way};
use super::{Shared, health};
use crate::config::Process;
use crate::engine::{Happening, VersionSpec};
use crate::plan::{Crash, Fault, Instance, Readiness};
use lem_engine_mask::Masker;
use lem_model::Version;
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::Instant;

/// Ends in a row without having been ready that make a crash loop.
const CRASH_LOOP: u32 = 3;
/// From the order to leave to SIGTERM.
const SETTLE: Duration = Duration::from_millis(250);
/// First and longest delay before an instance is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// What can be seen of an instance from outside.
#[derive(Debug)]
struct Face {
    address: Option<SocketAddr>,
    ready: bool,
    ended: bool,
}

/// An instance with its supervising task.
#[derive(Debug)]
pub(super) struct Supervised {
    face: Arc<Mutex<Face>>,
    leave: watch::Sender<Option<Duration>>,
    task: tokio::task::JoinHandle<()>,
}

impl Supervised {
    pub(super) fn start(shared: Arc<Shared>, spec: VersionSpec, process: Process) -> Self {
        let face = Arc::new(Mutex::new(Face { address: None, ready: false, ended: false }));
        let (leave, left) = watch::channel(None);
        let life = Life { shared, spec, process, face: face.clone(), left, lines: Arc::default() };
        Self { face, leave, task: tokio::spawn(life.run()) }
    }

    /// Ends it: SIGTERM, and SIGKILL to the whole tree after the grace. The first call counts.
    pub(super) fn leave(&self, grace: Duration) {
        self.leave.send_if_modified(|order| {
            let first = order.is_none();
            if first {
                *order = Some(grace);
            }
            first
        });
    }

    pub(super) fn is_ended(&self) -> bool {
        self.face.lock().ended
    }

    pub(super) fn readiness(&self) -> Readiness {
        let face = self.face.lock();
        match (self.leave.borrow().is_some(), face.ready) {
            (true, _) => Readiness::Leaving,
            (false, true) => Readiness::Ready,
            (false, false) => Readiness::Starting,
        }
    }

    pub(super) fn seen(&self, version: &Version) -> Instance {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = self.face.lock().address.unwrap_or(nowhere);
        Instance { version: version.clone(), address, readiness: self.readiness() }
    }

    pub(super) async fn ended(self) {
        // A task that panicked has ended too.
        let _ = self.task.await;
    }
}

struct Life {
    shared: Arc<Shared>,
    spec: VersionSpec,
    process: Process,
    face: Arc<Mutex<Face>>,
    left: watch::Receiver<Option<Duration>>,
    lines: LastLines,
}

/// How one run of the process ended.
enum Ending {
    /// It was told to.
    Told,
    /// By itself, and whether it had been ready.
    Alone { status: String, was_ready: bool },
}

/// Why the process was not started.
enum NotStarted {
    /// It lacks what it cannot do without: another try would end the same way.
    Lacks(String),
    /// Whoever has what it needs did not answer.
    Unanswered(String),
    /// It could not be done now.
    Failed(String),
}

impl From<String> for NotStarted {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<Refused> for NotStarted {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing(why) => Self::Lacks(why),
            Refused::Unanswered(why) => Self::Unanswered(why),
        }
    }
}

impl Life {
    async fn run(mut self) {
        let mut failures = 0;
        let mut delay = BACKOFF.0;
        while self.left.borrow().is_none() {
            let (status, was_ready) = match self.once().await {
                Ok(Ending::Told) => break,
                Ok(Ending::Alone { status, was_ready }) => (status, was_ready),
                Err(NotStarted::Lacks(why)) => {
                    self.crashed(why, Fault::Surroundings);
                    break;
                }
                Err(NotStarted::Unanswered(why)) => {
                    failures += 1;
                    if failures >= CRASH_LOOP {
                        self.crashed(why, Fault::Surroundings);
                    }
                    self.pause(&mut delay).await;
                    continue;
                }
                Err(NotStarted::Failed(why)) => (why, false),
            };
            (failures, delay) = if was_ready { (1, BACKOFF.0) } else { (failures + 1, delay) };
            if failures >= CRASH_LOOP {
                let why = format!("it ended {failures} times in a row before it was ready, last with {status}");
                self.crashed(why, Fault::Version);
            }
            self.pause(&mut delay).await;
        }
        self.face.lock().ended = true;
        self.shared.touch();
    }

    /// Waits before the next try, longer each time, unless it is told to leave.
    async fn pause(&self, delay: &mut Duration) {
        let mut left = self.left.clone();
        tokio::select! {
            () = tokio::time::sleep(*delay) => {}
            _ = left.wait_for(Option::is_some) => {}
        }
        *delay = (*delay * 2).min(BACKOFF.1);
    }

    fn crashed(&self, why: String, fault: Fault) {
        let last_lines = self.lines.lock().iter().cloned().collect();
        let crash = Crash { why, last_lines, fault, at: self.shared.clock.now() };
        let key = (self.spec.scope.clone(), self.spec.placed.version.clone());
        self.shared.seen.lock().crashed.insert(key, crash);
        self.shared.touch();
    }

    /// One run, from unpacked artifact to exit; its secrets are leased for as long.
    async fn once(&mut self) -> Result<Ending, NotStarted> {
        let dir = self.shared.unpacked(&self.spec.placed.digest).await?;
        let address = free_address().map_err(|error| format!("no free port: {error}"))?;
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let version = &self.spec.placed.version;
        let instance =
            format!("{}-{}-{version}-{}", self.spec.scope.service, self.spec.scope.environment, &unique[20..]);
        let lent = self.shared.lend(&self.spec.scope, &instance, &self.process.secrets).await?;
        let ending = match self.spawn(&dir, address, &instance, &lent) {
            Ok(child) => Ok(self.live(child, address, instance.clone(), lent).await),
            Err(why) => Err(why.into()),
        };
        self.shared.give_back(&instance, &self.process.secrets).await;
        ending
    }

    /// The life of a started process.
    async fn live(&mut self, mut child: Child, address: SocketAddr, instance: String, lent: Lent) -> Ending {
        let pid = child.id().unwrap_or(0);
        let note = self.note(pid, &instance);
        self.face.lock().address = Some(address);
        let (scope, version) = (self.spec.scope.clone(), self.spec.placed.version.clone());
        self.shared.happen(
            &scope,
            Happening::Started { instance: instance.clone(), version: version.clone(), address, pid: Some(pid) },
        );
        let readers = self.readers(&mut child, &instance, lent.masker);
        let (ending, status) = self.watch(&mut child, address, pid).await;
        // What the process started may hold its pipes open; nothing of it may stay.
        end_tree(pid, &instance);
        let _ = tokio::time::timeout(Duration::from_millis(500), futures::future::join_all(readers)).await;
        (self.face.lock().ready, self.face.lock().address) = (false, None);
        if let Some(note) = note {
            let _ = std::fs::remove_file(note);
        }
        let expected = matches!(ending, Ending::Told);
        let last_lines = self.lines.lock().iter().cloned().collect();
        self.shared.happen(&scope, Happening::Exited { instance, version, status, expected, last_lines });
        ending
    }

    fn spawn(&self, dir: &Path, address: SocketAddr, instance: &str, lent: &Lent) -> Result<Child, String> {
        let (program, arguments) = self.process.command.split_first().ok_or("no command")?;
        // A path is meant relative to the artifact; a bare name is looked for in PATH.
        let path = if program.contains('/') { dir.join(program) } else { PathBuf::from(program) };
        let placed = &self.spec.placed;
        let mut command = Command::new(&path);
        command
            .args(arguments)
            .current_dir(dir)
            .envs(self.process.env.iter().chain(&lent.values).map(|(k, v)| (k.as_str(), v.as_str())))
            .env("PORT", address.port().to_string())
            .env("LEM_SERVICE", self.spec.scope.service.as_str())
            .env("LEM_ENVIRONMENT", self.spec.scope.environment.as_str())
            .env("LEM_VERSION", placed.version.as_str())
            .env("SERVICE_VERSION", placed.version.as_str())
            .env("LEM_INSTANCE", instance)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| format!("cannot start {}: {error}", path.display()))
    }

    /// Leaves a note for the next life of the program.
    fn note(&self, pid: u32, instance: &str) -> Option<PathBuf> {
        let path = self.shared.root.join("instances").join(format!("{instance}.json"));
        let note = Note { pid, start: start_of(pid)?, instance: instance.to_owned() };
        match serde_json::to_vec(&note).map_err(std::io::Error::from).and_then(|text| std::fs::write(&path, text)) {
            Ok(()) => Some(path),
            Err(error) => {
                tracing::warn!(%instance, %error, "no note about a child: it would outlive a crash of this program");
                None
            }
        }
    }

    fn readers(&self, child: &mut Child, instance: &str, masker: Masker) -> Vec<tokio::task::JoinHandle<()>> {
        let masker = Arc::new(masker);
        let reader = |stream: &str, pipe: Box<dyn AsyncRead + Send + Unpin>| {
            let labels: BTreeMap<String, String> = [
                ("service_name", self.spec.scope.service.as_str()),
                ("service_version", self.spec.placed.version.as_str()),
                ("deployment_environment", self.spec.scope.environment.as_str()),
                ("instance", instance),
                ("stream", stream),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
            let (shared, last) = (self.shared.clone(), self.lines.clone());
            tokio::spawn(lines::read(pipe, Way { labels, shared, last, masker: masker.clone() }))
        };
        let out = child.stdout.take().map(|pipe| reader("stdout", Box::new(pipe)));
        let err = child.stderr.take().map(|pipe| reader("stderr", Box::new(pipe)));
        out.into_iter().chain(err).collect()
    }

    /// Asks for health until the process ends or is told to.
    async fn watch(&mut self, child: &mut Child, address: SocketAddr, pid: u32) -> (Ending, String) {
        let checks = self.shared.checks;
        let (mut passed, mut failed, mut was_ready) = (0_u32, 0_u32, false);
        let mut healthy_since: Option<Instant> = None;
        let mut tick = tokio::time::interval(checks.interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut left = self.left.clone();
        loop {
            tokio::select! {
                status = child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), describe);
                    return (Ending::Alone { status: status.clone(), was_ready }, status);
                }
                grace = told(&mut left) => {
                    return (Ending::Told, end(child, pid, grace).await);
                }
                _ = tick.tick() => {}
            }
            let pass = tokio::select! {
                pass = health::passes(address, &self.process.health, checks.timeout) => pass,
                // The loop above says how it ended.
                _ = child.wait() => continue,
            };
            (passed, failed) = if pass { (passed + 1, 0) } else { (0, failed + 1) };
            let before = self.face.lock().ready;
            let mut ready = before;
            if passed >= checks.in_a_row {
                let since = *healthy_since.get_or_insert_with(Instant::now);
                ready = since.elapsed() >= self.spec.min_ready;
            } else if failed >= checks.in_a_row {
                (ready, healthy_since) = (false, None);
            }
            was_ready |= ready;
            if ready != before {
                self.face.lock().ready = ready;
                self.shared.touch();
            }
        }
    }
}

/// Waits for the order to leave and gives its grace; an instance nobody holds any more leaves at once.
async fn told(left: &mut watch::Receiver<Option<Duration>>) -> Duration {
    left.wait_for(Option::is_some).await.ok().and_then(|order| *order).unwrap_or_default()
}

/// SIGTERM to the group, then SIGKILL to the tree. The signal waits a moment, so that whoever routes has seen it leave.
async fn end(child: &mut Child, pid: u32, grace: Duration) -> String {
    if let Ok(status) = tokio::time::timeout(SETTLE.min(grace), child.wait()).await {
        return status.map_or_else(|error| error.to_string(), describe);
    }
    signal_group(pid, Signal::SIGTERM);
    if let Ok(status) = tokio::time::timeout(grace, child.wait()).await {
        return status.map_or_else(|error| error.to_string(), describe);
    }
    signal_group(pid, Signal::SIGKILL);
    child.wait().await.map_or_else(|error| error.to_string(), describe)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A port that is free now. Another program may take it before the child does; the child is then started again.
fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
