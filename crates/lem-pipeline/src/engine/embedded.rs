//! The embedded executor: jobs as processes of this machine, in a sandbox where the kernel gives one.

mod init;
mod spawn;

use super::{Caps, ExecError, Executor, HOME_DIR, Isolation, JobRequest, Output, Room, StepExit, StepRequest};
use super::{TEMP_DIR, TMP_DIR, WORK_DIR};
use async_trait::async_trait;
use nix::sys::signal::Signal;
use spawn::{Report, StartError, Tree, View};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Which isolation is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Namespaces; weaker isolation with a warning where the kernel refuses them.
    #[default]
    Sandbox,
    /// Namespaces or nothing.
    SandboxOnly,
    /// The machine as it is.
    Host,
}

/// How the embedded executor behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Isolation.
    pub wanted: Wanted,
    /// From SIGINT to SIGTERM.
    pub interrupt_grace: Duration,
    /// From SIGTERM to SIGKILL.
    pub terminate_grace: Duration,
}

impl Default for Options {
    /// The graces of GitHub's runner.
    fn default() -> Self {
        Self {
            wanted: Wanted::Sandbox,
            interrupt_grace: Duration::from_millis(7500),
            terminate_grace: Duration::from_millis(2500),
        }
    }
}

/// Runs jobs as processes of this machine.
#[derive(Debug, Default)]
pub struct Embedded {
    options: Options,
    refused: OnceLock<(String, String)>,
}

impl Embedded {
    /// An executor.
    pub fn new(options: Options) -> Self {
        Self { options, refused: OnceLock::new() }
    }

    async fn tree(&self, job: &JobRequest) -> Result<(Tree, Isolation), ExecError> {
        if self.options.wanted == Wanted::Host {
            return Ok((Tree::start(None).await.map_err(plain)?, Isolation::Host));
        }
        if self.refused.get().is_none() {
            match Tree::start(Some(&view(job)?)).await {
                Ok(tree) => return Ok((tree, Isolation::Sandbox)),
                Err(StartError::Other(error)) => return Err(error),
                Err(StartError::Refused { doing, errno }) => {
                    let why = nix::errno::Errno::from_raw(errno).desc().to_owned();
                    let _ = self.refused.set((doing.to_owned(), why));
                }
            }
        }
        let (doing, why) = self.refused.get().cloned().unwrap_or_default();
        if self.options.wanted == Wanted::SandboxOnly {
            return Err(ExecError::NoSandbox { doing, why });
        }
        let why = format!("{doing} was refused: {why}");
        Ok((Tree::start(None).await.map_err(plain)?, Isolation::Weak { why }))
    }
}

fn plain(error: StartError) -> ExecError {
    match error {
        StartError::Other(error) => error,
        StartError::Refused { doing, errno } => {
            ExecError::Io { doing: doing.to_owned(), source: std::io::Error::from_raw_os_error(errno) }
        }
    }
}

/// What the job sees. Everything that must stay visible below /tmp needs a place in the job's own /tmp.
fn view(job: &JobRequest) -> Result<View, ExecError> {
    let tmp = job.directory.join(TMP_DIR);
    let mut writable = vec![job.directory.clone()];
    writable.extend(job.writable.iter().filter(|p| p.is_dir()).cloned());
    let readable: Vec<_> = job.readable.iter().filter(|p| p.starts_with("/tmp") && p.is_dir()).cloned().collect();
    for path in writable.iter().chain(&readable) {
        if let Ok(below) = path.strip_prefix("/tmp") {
            make_dir(&tmp.join(below))?;
        }
    }
    Ok(View { tmp, writable, readable })
}

fn make_dir(path: &Path) -> Result<(), ExecError> {
    std::fs::create_dir_all(path)
        .map_err(|source| ExecError::Io { doing: format!("making directory {}", path.display()), source })
}

#[async_trait]
impl Executor for Embedded {
    fn caps(&self) -> Caps {
        let name = if self.options.wanted == Wanted::Host { "host" } else { "sandbox" };
        Caps { name, containers: false }
    }

    async fn prepare(&self, job: &JobRequest) -> Result<Box<dyn Room>, ExecError> {
        for name in [WORK_DIR, TEMP_DIR, HOME_DIR, TMP_DIR] {
            make_dir(&job.directory.join(name))?;
        }
        let (tree, isolation) = self.tree(job).await?;
        Ok(Box::new(LocalRoom { tree, isolation, options: self.options, buffer: vec![0; READ_BYTES] }))
    }
}

/// Bytes read from a job at once: the capacity of a pipe.
const READ_BYTES: usize = 64 * 1024;
/// Bytes that may still be read after a step ended; what it wrote before it ended fits into the pipe.
const DRAIN_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
struct LocalRoom {
    tree: Tree,
    isolation: Isolation,
    options: Options,
    buffer: Vec<u8>,
}

/// A step that is being stopped: why, and what comes next when.
struct Stopping {
    why: StepExit,
    next: Option<(Instant, Signal)>,
}

impl LocalRoom {
    async fn begin(&mut self, step: &StepRequest) -> Result<(), ExecError> {
        self.tree.run(&step.directory, &step.argv, &step.env).await?;
        match self.tree.channel.report().await.map_err(|_| ExecError::Lost)? {
            Report::Spawned => Ok(()),
            Report::SpawnFailed { in_directory, errno } => {
                let why = nix::errno::Errno::from_raw(errno).desc().to_owned();
                let program = match (in_directory, step.argv.first()) {
                    (false, Some(program)) => program.to_string_lossy().into_owned(),
                    _ => format!("in {}", step.directory.display()),
                };
                Err(ExecError::Start { program, why })
            }
            Report::Exited(_) => Err(ExecError::Lost),
        }
    }

    /// What the step wrote before it ended is in the pipe; what its background processes write comes later.
    fn drain(&mut self, output: &mut dyn Output) {
        let mut drained = 0;
        while drained < DRAIN_BYTES {
            // Not `try_read`: it trusts the last readiness it was told of, and would leave what came after.
            match nix::unistd::read(&self.tree.output, &mut self.buffer) {
                Ok(n) if n > 0 => {
                    output.write(&self.buffer[..n]);
                    drained += n;
                }
                _ => return,
            }
        }
    }

    async fn stop(&mut self, why: StepExit) -> Stopping {
        self.tree.signal(Signal::SIGINT).await;
        Stopping { why, next: Some((Instant::now() + self.options.interrupt_grace, Signal::SIGTERM)) }
    }

    async fn escalate(&mut self, stopping: &mut Stopping) {
        let Some((_, signal)) = stopping.next.take() else { return };
        self.tree.signal(signal).await;
        if signal == Signal::SIGTERM {
            stopping.next = Some((Instant::now() + self.options.terminate_grace, Signal::SIGKILL));
        }
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(24 * 30)
}

fn exit_of(status: i32) -> StepExit {
    // wait(2): the low seven bits are the signal, the next byte is the code.
    match status & 0x7f {
        0 => StepExit::Code((status >> 8) & 0xff),
        signal => StepExit::Signal(signal),
    }
}

#[async_trait]
impl Room for LocalRoom {
    fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    async fn step(&mut self, step: &StepRequest, output: &mut dyn Output) -> Result<StepExit, ExecError> {
        self.begin(step).await?;
        let deadline = step.deadline.unwrap_or_else(far);
        let mut stopping: Option<Stopping> = None;
        loop {
            let wake = stopping.as_ref().map_or(deadline, |s| s.next.map_or_else(far, |(at, _)| at));
            tokio::select! {
                report = self.tree.channel.report() => {
                    let Report::Exited(status) = report.map_err(|_| ExecError::Lost)? else { continue };
                    self.drain(output);
                    let Some(stopping) = stopping else { return Ok(exit_of(status)) };
                    self.tree.signal(Signal::SIGKILL).await; // what ignored the first signal does not stay behind
                    return Ok(stopping.why);
                }
                ready = self.tree.output.readable() => {
                    ready.map_err(|source| ExecError::Io { doing: "reading a job's output".into(), source })?;
                    if let Ok(n) = self.tree.output.try_read(&mut self.buffer) && n > 0 {
                        output.write(&self.buffer[..n]);
                    }
                }
                () = sleep_until(wake) => match stopping.as_mut() {
                    Some(stopping) => self.escalate(stopping).await,
                    None => stopping = Some(self.stop(StepExit::TimedOut).await),
                },
                () = step.cancel.cancelled(), if stopping.is_none() => {
                    stopping = Some(self.stop(StepExit::Cancelled).await);
                }
            }
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<(), ExecError> {
        if self.tree.end().await { Ok(()) } else { Err(ExecError::Lost) }
    }
}
