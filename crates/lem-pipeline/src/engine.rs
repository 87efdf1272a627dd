//! Where jobs run: the trait, and what an executor is asked.
//!
//! Two implementations are meant to stand behind it: the embedded sandbox ([`embedded`]) and container connectors.

pub mod embedded;

use async_trait::async_trait;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why an executor could not do what it was asked.
#[derive(Debug, Error)]
pub enum ExecError {
    /// The machine said no.
    #[error("{doing} failed")]
    Io {
        /// What was attempted.
        doing: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The program of a step does not start.
    #[error("cannot start {program}: {why}")]
    Start {
        /// Program or directory.
        program: String,
        /// Cause.
        why: String,
    },
    /// Text with a NUL character cannot be given to a program.
    #[error("{what} holds a NUL character")]
    BadText {
        /// Which text.
        what: String,
    },
    /// Arguments and environment of a step are too large for the system.
    #[error("command line and environment have {bytes} bytes; at most {limit} can be given to a program")]
    TooLarge {
        /// How large.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The isolation that was asked for is not to be had.
    #[error("the sandbox cannot be made: {doing} was refused ({why})")]
    NoSandbox {
        /// Which part of it.
        doing: String,
        /// Cause.
        why: String,
    },
    /// The job's processes are gone without a word.
    #[error("the job's processes were lost")]
    Lost,
}

/// How well jobs are kept apart from the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Namespaces of their own: read-only root, private /tmp and HOME, own process ids, no privileges.
    Sandbox,
    /// The kernel refused namespaces: private HOME and temporary directory only.
    Weak {
        /// What was refused and why.
        why: String,
    },
    /// The machine as it is, because it was asked for.
    Host,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox => f.write_str("sandbox (own users, mounts, processes; read-only root)"),
            Self::Weak { why } => write!(f, "weak isolation (shared file system and processes): {why}"),
            Self::Host => f.write_str("host (no isolation, as asked)"),
        }
    }
}

/// What an executor can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Name, as `--executor` takes it.
    pub name: &'static str,
    /// Whether jobs may name a container image.
    pub containers: bool,
}

/// A job about to run.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// Directory of the job; holds [`WORK_DIR`] and its siblings, all writable for the job.
    pub directory: PathBuf,
    /// Directories the job must be able to read, such as the repository.
    pub readable: Vec<PathBuf>,
    /// Directories the job may write to besides its own.
    pub writable: Vec<PathBuf>,
}

/// Directory of the workspace in a job's directory.
pub const WORK_DIR: &str = "work";
/// Directory of scripts and file commands in a job's directory.
pub const TEMP_DIR: &str = "temp";
/// Directory that is the job's HOME.
pub const HOME_DIR: &str = "home";
/// Directory that is the job's /tmp.
pub const TMP_DIR: &str = "tmp";

/// A process of a step about to run.
#[derive(Clone, Debug)]
pub struct StepRequest {
    /// Program, as an absolute path, and arguments.
    pub argv: Vec<OsString>,
    /// Working directory.
    pub directory: PathBuf,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// When it has had its time.
    pub deadline: Option<Instant>,
    /// When somebody wants it to stop.
    pub cancel: CancellationToken,
}

/// How a step's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepExit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It had had its time.
    TimedOut,
    /// Somebody wanted it to stop.
    Cancelled,
}

/// Takes what a step's processes say, as it comes.
pub trait Output: Send {
    /// Takes some bytes; lines may be cut anywhere.
    fn write(&mut self, bytes: &[u8]);
}

/// Runs jobs.
#[async_trait]
pub trait Executor: Send + Sync + fmt::Debug {
    /// What it can do.
    fn caps(&self) -> Caps;
    /// Makes room for a job.
    async fn prepare(&self, job: &JobRequest) -> Result<Box<dyn Room>, ExecError>;
}

/// Room for one job, in which its steps run one after the other.
#[async_trait]
pub trait Room: Send + fmt::Debug {
    /// How well it is kept apart.
    fn isolation(&self) -> &Isolation;
    /// Runs one process to its end; what it starts in the background stays until the job ends.
    async fn step(&mut self, step: &StepRequest, output: &mut dyn Output) -> Result<StepExit, ExecError>;
    /// Ends every process of the job.
    async fn finish(self: Box<Self>) -> Result<(), ExecError>;
}
