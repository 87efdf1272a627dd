//! Our end of a job's first process: start it, run steps in it, end all of it.

use super::init::{self, Bind, Rooms, Setup};
use crate::engine::ExecError;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixStream, unix::pipe};

/// How long the first process may take to set itself up.
pub(super) const SETUP_LIMIT: Duration = Duration::from_secs(20);
/// How long everything of a job may take to be gone after the last signal.
pub(super) const END_LIMIT: Duration = Duration::from_secs(10);

/// What a job sees of the machine.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Directory that becomes its /tmp.
    pub tmp: PathBuf,
    /// Directories it may write to.
    pub writable: Vec<PathBuf>,
    /// Directories that must stay visible even below /tmp.
    pub readable: Vec<PathBuf>,
}

/// What the job's first process reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Spawned,
    SpawnFailed { in_directory: bool, errno: i32 },
    Exited(i32),
}

/// Why a job's first process could not be set up.
#[derive(Debug)]
pub(super) enum StartError {
    /// The kernel refused namespaces or mounts: a weaker isolation may still do.
    Refused {
        doing: &'static str,
        errno: i32,
    },
    Other(ExecError),
}

/// A job's first process and everything below it.
#[derive(Debug)]
pub(super) struct Tree {
    pid: i32,
    ended: AsyncFd<OwnedFd>,
    pub(super) channel: Channel,
    pub(super) output: pipe::Receiver,
    in_rooms: bool,
}

/// Messages to and from the first process.
#[derive(Debug)]
pub(super) struct Channel {
    socket: UnixStream,
    partial: Vec<u8>,
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> StartError {
    move |source| StartError::Other(ExecError::Io { doing: doing.to_owned(), source })
}

fn c_path(path: &Path) -> Result<CString, StartError> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| StartError::Other(ExecError::BadText { what: format!("path {}", path.display()) }))
}

fn rooms(view: &View) -> Result<Rooms, StartError> {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let map = |id: u32| CString::new(format!("{id} {id} 1\n")).expect("digits hold no NUL");
    let mut binds = vec![];
    for (paths, writable) in [(&view.readable, false), (&view.writable, true)] {
        for path in paths {
            binds.push(Bind { source: c_path(path)?, target: c_path(path)?, writable });
        }
    }
    let sources = Vec::with_capacity(binds.len());
    Ok(Rooms { uid_map: map(uid.as_raw()), gid_map: map(gid.as_raw()), tmp: c_path(&view.tmp)?, binds, sources })
}

struct Launched {
    pid: i32,
    pidfd: i32,
    ours: OwnedFd,
    read: OwnedFd,
    in_rooms: bool,
}

/// Forks the first process. Not async, so that its prepared memory lives no longer than the fork.
fn launch(view: Option<&View>) -> Result<Launched, StartError> {
    let rooms = view.map(rooms).transpose()?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)
        .map_err(|e| io("making a socket pair")(e.into()))?;
    clear_nonblocking(&theirs).map_err(io("making a socket pair"))?;
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| io("making a pipe")(e.into()))?;
    let in_rooms = rooms.is_some();
    let mut setup = Setup::new(rooms, theirs.as_raw_fd(), write.as_raw_fd());
    let (pid, pidfd) = init::fork(&mut setup).map_err(|errno| StartError::Refused { doing: init::STAGES[0], errno })?;
    Ok(Launched { pid, pidfd, ours, read, in_rooms })
}

impl Tree {
    /// Starts the first process; `view` asks for namespaces, without it the job shares ours.
    pub(super) async fn start(view: Option<&View>) -> Result<Self, StartError> {
        let Launched { pid, pidfd, ours, read, in_rooms } = launch(view)?;
        let ended = own(pidfd);
        let socket = UnixStream::from_std(std::os::unix::net::UnixStream::from(ours)).map_err(io("watching a job"))?;
        let mut tree = Self {
            pid,
            ended: watch(ended).map_err(io("watching a job"))?,
            channel: Channel { socket, partial: Vec::with_capacity(init::REPORT_BYTES) },
            output: pipe::Receiver::from_owned_fd(read).map_err(io("watching a job"))?,
            in_rooms,
        };
        let ready = tokio::time::timeout(SETUP_LIMIT, tree.channel.report_raw()).await;
        match ready {
            Ok(Ok((init::READY, _, _))) => Ok(tree),
            Ok(Ok((_, stage, errno))) => {
                tree.end().await;
                let doing = init::STAGES.get(stage as usize).copied().unwrap_or("setting up");
                Err(StartError::Refused { doing, errno })
            }
            Ok(Err(source)) => {
                tree.end().await;
                Err(io("setting up a job")(source))
            }
            Err(_) => {
                tree.end().await;
                Err(StartError::Refused { doing: "setting up in time", errno: nix::libc::ETIMEDOUT })
            }
        }
    }

    /// Asks for a step to be started.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &mut self,
        directory: &Path,
        argv: &[S],
        env: &[(String, String)],
    ) -> Result<(), ExecError> {
        let message = run_message(directory, argv, env)?;
        self.channel.send(init::RUN, &message).await
    }

    /// Sends a signal to everything in the job but its first process.
    pub(super) async fn signal(&mut self, signal: nix::sys::signal::Signal) {
        let _ = self.channel.send(init::SIGNAL, &(signal as u32).to_ne_bytes()).await;
        if !self.in_rooms {
            signal_descendants(self.pid, signal);
        }
    }

    /// Ends everything of the job and waits until it is gone; whether it is.
    pub(super) async fn end(&mut self) -> bool {
        let kill = nix::sys::signal::Signal::SIGKILL;
        if !self.in_rooms {
            // Everything that was ever started has the first process as an ancestor, because it adopts orphans. New
            // ones may appear while we look: look again until there are none.
            for _ in 0..100 {
                if signal_descendants(self.pid, kill) == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), kill);
        let gone = tokio::time::timeout(END_LIMIT, self.ended.readable()).await.is_ok();
        if gone {
            let _ = waitid(Id::PIDFd(self.ended.get_ref().as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
        }
        gone
    }
}

impl Channel {
    /// Next raw report. Cancel-safe: what was read so far is kept.
    async fn report_raw(&mut self) -> std::io::Result<(u32, i32, i32)> {
        while self.partial.len() < init::REPORT_BYTES {
            let missing = init::REPORT_BYTES - self.partial.len();
            let mut chunk = [0_u8; init::REPORT_BYTES];
            let n = self.socket.read(&mut chunk[..missing]).await?;
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.partial.extend_from_slice(&chunk[..n]);
        }
        let word = |at: usize| {
            let b = &self.partial[at..at + 4];
            [b[0], b[1], b[2], b[3]]
        };
        let report = (u32::from_ne_bytes(word(0)), i32::from_ne_bytes(word(4)), i32::from_ne_bytes(word(8)));
        self.partial.clear();
        Ok(report)
    }

    /// Next report. Cancel-safe.
    pub(super) async fn report(&mut self) -> std::io::Result<Report> {
        loop {
            match self.report_raw().await? {
                (init::SPAWNED, _, _) => return Ok(Report::Spawned),
                (init::SPAWN_FAILED, directory, errno) => {
                    return Ok(Report::SpawnFailed { in_directory: directory == 1, errno });
                }
                (init::EXITED, status, _) => return Ok(Report::Exited(status)),
                _ => {}
            }
        }
    }

    async fn send(&mut self, kind: u32, payload: &[u8]) -> Result<(), ExecError> {
        let mut message = Vec::with_capacity(payload.len() + 8);
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(payload.len() as u32).to_ne_bytes());
        message.extend_from_slice(payload);
        let sent = self.socket.write_all(&message).await;
        sent.map_err(|source| ExecError::Io { doing: "talking to a job".into(), source })
    }
}

impl Drop for Tree {
    /// A dropped job does not stay: closing the socket ends it, the signal makes it sure.
    fn drop(&mut self) {
        if !self.in_rooms {
            signal_descendants(self.pid, nix::sys::signal::Signal::SIGKILL);
        }
        let waited = waitid(Id::PIDFd(self.ended.get_ref().as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
        if matches!(waited, Ok(nix::sys::wait::WaitStatus::StillAlive)) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), nix::sys::signal::Signal::SIGKILL);
            let _ = waitid(Id::PIDFd(self.ended.get_ref().as_fd()), WaitPidFlag::WEXITED);
        }
    }
}

#[expect(unsafe_code, reason = "the kernel hands over a descriptor as a number")]
fn own(fd: i32) -> OwnedFd {
    // SAFETY: clone3 with CLONE_PIDFD has just created this descriptor for us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[expect(unsafe_code, reason = "registration trusts the descriptor to stay the same")]
fn watch(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd gives the same descriptor as long as it lives, and AsyncFd owns it until it is deregistered.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

fn clear_nonblocking(fd: &OwnedFd) -> std::io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::empty())).map(|_| ()).map_err(Into::into)
}

fn run_message<S: AsRef<OsStr>>(directory: &Path, argv: &[S], env: &[(String, String)]) -> Result<Vec<u8>, ExecError> {
    let mut message = vec![];
    message.extend_from_slice(&(argv.len() as u32).to_ne_bytes());
    message.extend_from_slice(&(env.len() as u32).to_ne_bytes());
    let mut push = |what: &str, parts: &[&[u8]]| {
        if parts.iter().any(|p| p.contains(&0)) {
            return Err(ExecError::BadText { what: what.to_owned() });
        }
        for part in parts {
            message.extend_from_slice(part);
        }
        message.push(0);
        Ok(())
    };
    push("working directory", &[directory.as_os_str().as_bytes()])?;
    for argument in argv {
        push("command line", &[argument.as_ref().as_bytes()])?;
    }
    for (name, value) in env {
        push(&format!("environment variable {name}"), &[name.as_bytes(), b"=", value.as_bytes()])?;
    }
    if message.len() > init::MAX_MESSAGE_BYTES || argv.len() + env.len() > init::MAX_STRINGS {
        return Err(ExecError::TooLarge { bytes: message.len(), limit: init::MAX_MESSAGE_BYTES });
    }
    Ok(message)
}

/// Signals every process below `root`; how many there were.
fn signal_descendants(root: i32, signal: nix::sys::signal::Signal) -> usize {
    let below = descendants(root);
    for pid in &below {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), signal);
    }
    below.len()
}

/// Processes below `root`, zombies left out.
fn descendants(root: i32) -> Vec<i32> {
    let mut parents = vec![];
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // proc(5): the name may hold anything, so fields are counted after its last parenthesis.
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let state = fields.next().unwrap_or_default();
        let parent = fields.next().and_then(|p| p.parse::<i32>().ok()).unwrap_or_default();
        parents.push((pid, parent, state == "Z"));
    }
    let mut below = vec![];
    let mut front = vec![root];
    while let Some(at) = front.pop() {
        for (pid, _, zombie) in parents.iter().filter(|(_, parent, _)| *parent == at) {
            front.push(*pid);
            if !zombie {
                below.push(*pid);
            }
        }
    }
    below
}
