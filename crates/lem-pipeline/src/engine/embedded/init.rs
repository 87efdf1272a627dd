//! The first process of a job: process 1 of its namespaces, parent of its steps.
//!
//! It is a fork of the calling process that never executes another program, because that is what makes a job cheap.
//! The caller has other threads, which may hold the allocator's lock at the moment of the fork; so nothing in this
//! file allocates, unwinds or takes a lock: it makes system calls on memory that was prepared before the fork. Steps
//! are started with `posix_spawn`, which shares memory until the program is executed.
//!
//! The caller holds the other end of a socket. When it goes away, however it dies, so does the job.

#![expect(
    unsafe_code,
    reason = "system calls between fork and exec have no safe form; this is the leaf that makes them"
)]

use nix::libc as c;
use std::ffi::CString;
use std::os::fd::RawFd;

/// Bytes of one message to the job: arguments and environment of a step.
pub(super) const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Arguments and environment variables of a step, together.
pub(super) const MAX_STRINGS: usize = 65_536;

/// Kinds of messages to the job.
pub(super) const RUN: u32 = 1;
pub(super) const SIGNAL: u32 = 2;
/// Kinds of messages from the job: kind, value, error number.
pub(super) const READY: u32 = 10;
pub(super) const REFUSED: u32 = 11;
pub(super) const SPAWNED: u32 = 12;
pub(super) const SPAWN_FAILED: u32 = 13;
pub(super) const EXITED: u32 = 14;

/// Length of a message from the job.
pub(super) const REPORT_BYTES: usize = 12;

/// What the set-up was doing when the kernel refused; the names appear in messages.
pub(super) const STAGES: &[&str] = &[
    "starting",
    "mapping users (/proc/self/uid_map)",
    "making mounts private",
    "binding the workspace",
    "making the root read-only",
    "making the workspace writable",
    "binding /tmp",
    "mounting /proc",
    "mounting /dev/shm",
    "dropping privileges",
];

/// A directory to be seen at a path.
#[derive(Debug)]
pub(super) struct Bind {
    /// Source; opened before anything is hidden.
    pub source: CString,
    /// Where it appears.
    pub target: CString,
    /// Whether the job may write there.
    pub writable: bool,
}

/// Namespaces of a job: everything that is needed to make them, prepared.
#[derive(Debug)]
pub(super) struct Rooms {
    /// Line for uid_map.
    pub uid_map: CString,
    /// Line for gid_map.
    pub gid_map: CString,
    /// Directory that becomes /tmp.
    pub tmp: CString,
    /// Directories that stay visible and perhaps writable.
    pub binds: Vec<Bind>,
    /// File descriptors of the binds' sources, filled in after the fork.
    pub sources: Vec<RawFd>,
}

/// Everything the first process needs.
#[derive(Debug)]
pub(super) struct Setup {
    pub rooms: Option<Rooms>,
    pub socket: RawFd,
    pub output: RawFd,
    pub buffer: Vec<u8>,
    pub pointers: Vec<*mut c::c_char>,
}

impl Setup {
    /// Memory for messages is reserved here, before the fork; untouched pages cost nothing.
    pub(super) fn new(rooms: Option<Rooms>, socket: RawFd, output: RawFd) -> Self {
        Self {
            rooms,
            socket,
            output,
            buffer: Vec::with_capacity(MAX_MESSAGE_BYTES + 1),
            pointers: Vec::with_capacity(MAX_STRINGS + 4),
        }
    }
}

#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 1;
const AT_RECURSIVE: c::c_uint = 0x8000;

/// Forks the first process of a job. Returns its id and a descriptor that becomes readable when it has ended.
pub(super) fn fork(setup: &mut Setup) -> Result<(i32, RawFd), i32> {
    let mut pidfd: c::c_int = -1;
    let spaces = c::CLONE_NEWUSER | c::CLONE_NEWNS | c::CLONE_NEWPID | c::CLONE_NEWIPC | c::CLONE_NEWUTS;
    let flags = c::CLONE_PIDFD | if setup.rooms.is_some() { spaces } else { 0 };
    let args = CloneArgs {
        flags: flags as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: c::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
    };
    // SAFETY: without CLONE_VM the child runs on a copy of this memory; `args` outlives the call; the child only runs
    // `first_process`, which makes system calls on memory it owns and never returns.
    let pid = unsafe { c::syscall(c::SYS_clone3, std::ptr::from_ref(&args), size_of::<CloneArgs>()) };
    match pid {
        0 => first_process(setup),
        pid if pid > 0 => Ok((pid as i32, pidfd)),
        _ => Err(errno()),
    }
}

fn errno() -> i32 {
    // SAFETY: the location of errno is always valid for the calling thread.
    unsafe { *c::__errno_location() }
}

fn leave(code: c::c_int) -> ! {
    // SAFETY: ends the process without running anything else.
    unsafe { c::_exit(code) }
}

const SOCKET: RawFd = 3;

fn first_process(setup: &mut Setup) -> ! {
    let signals = arrange(setup);
    if let Some(rooms) = setup.rooms.as_mut()
        && let Err((stage, code)) = enter(rooms)
    {
        report(REFUSED, stage, code);
        leave(1);
    }
    if let Err(code) = renounce(setup.rooms.is_some()) {
        report(REFUSED, 9, code);
        leave(1);
    }
    report(READY, 0, 0);
    serve(setup, signals)
}

/// Own session, all signals as a descriptor, standard descriptors, nothing else left open.
fn arrange(setup: &Setup) -> RawFd {
    // SAFETY: plain system calls with valid arguments; the set is initialised by sigfillset.
    unsafe {
        c::setsid();
        let mut all: c::sigset_t = std::mem::zeroed();
        c::sigfillset(&raw mut all);
        c::sigprocmask(c::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        c::dup2(setup.output, 1);
        c::dup2(setup.output, 2);
        if setup.socket != SOCKET {
            c::dup2(setup.socket, SOCKET);
        }
        c::fcntl(SOCKET, c::F_SETFD, c::FD_CLOEXEC);
        c::close_range(4, c::c_uint::MAX, 0);
        let null = c::open(c"/dev/null".as_ptr(), c::O_RDONLY);
        if null != 0 {
            c::dup2(null, 0);
            c::close(null);
        }
        let mut child: c::sigset_t = std::mem::zeroed();
        c::sigemptyset(&raw mut child);
        c::sigaddset(&raw mut child, c::SIGCHLD);
        c::signalfd(-1, &raw const child, c::SFD_CLOEXEC | c::SFD_NONBLOCK)
    }
}

fn put(path: &std::ffi::CStr, text: &std::ffi::CStr) -> Result<(), i32> {
    // SAFETY: both are NUL-terminated and live through the calls.
    unsafe {
        let fd = c::open(path.as_ptr(), c::O_WRONLY | c::O_CLOEXEC);
        if fd < 0 {
            return Err(errno());
        }
        let bytes = text.to_bytes();
        let written = c::write(fd, bytes.as_ptr().cast(), bytes.len());
        let code = errno();
        c::close(fd);
        if written == bytes.len() as isize { Ok(()) } else { Err(code) }
    }
}

fn mount(
    source: *const c::c_char,
    target: *const c::c_char,
    kind: *const c::c_char,
    flags: c::c_ulong,
) -> Result<(), i32> {
    // SAFETY: the callers pass NUL-terminated strings or null where mount(2) allows it.
    let done = unsafe { c::mount(source, target, kind, flags, std::ptr::null()) };
    if done == 0 { Ok(()) } else { Err(errno()) }
}

fn set_mount(target: *const c::c_char, flags: c::c_uint, set: u64, clear: u64) -> Result<(), i32> {
    let attr = MountAttr { set, clear, propagation: 0, userns_fd: 0 };
    // SAFETY: `attr` has the layout and size mount_setattr(2) expects.
    let done = unsafe {
        c::syscall(c::SYS_mount_setattr, c::AT_FDCWD, target, flags, std::ptr::from_ref(&attr), size_of::<MountAttr>())
    };
    if done == 0 { Ok(()) } else { Err(errno()) }
}

/// Users, mounts and /proc of the new namespaces. An error names its stage in [`STAGES`].
fn enter(rooms: &mut Rooms) -> Result<(), (i32, i32)> {
    let at = |stage: i32| move |code: i32| (stage, code);
    let null = std::ptr::null();
    put(c"/proc/self/setgroups", c"deny").map_err(at(1))?;
    put(c"/proc/self/uid_map", &rooms.uid_map).map_err(at(1))?;
    put(c"/proc/self/gid_map", &rooms.gid_map).map_err(at(1))?;
    mount(c"none".as_ptr(), c"/".as_ptr(), null, c::MS_REC | c::MS_PRIVATE).map_err(at(2))?;
    rooms.sources.clear();
    for bind in &rooms.binds {
        // SAFETY: the path is NUL-terminated.
        let fd = unsafe { c::open(bind.source.as_ptr(), c::O_PATH | c::O_CLOEXEC) };
        if fd < 0 {
            return Err((3, errno()));
        }
        rooms.sources.push(fd); // capacity was reserved before the fork
    }
    mount(rooms.tmp.as_ptr(), c"/tmp".as_ptr(), null, c::MS_BIND).map_err(at(6))?;
    for (bind, fd) in rooms.binds.iter().zip(&rooms.sources) {
        let mut path = [0_u8; 32];
        fd_path(*fd, &mut path);
        mount(path.as_ptr().cast(), bind.target.as_ptr(), null, c::MS_BIND).map_err(at(3))?;
    }
    set_mount(c"/".as_ptr(), AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0).map_err(at(4))?;
    set_mount(c"/tmp".as_ptr(), 0, 0, MOUNT_ATTR_RDONLY).map_err(at(5))?;
    for bind in rooms.binds.iter().filter(|b| b.writable) {
        set_mount(bind.target.as_ptr(), 0, 0, MOUNT_ATTR_RDONLY).map_err(at(5))?;
    }
    let plain = c::MS_NOSUID | c::MS_NODEV;
    mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), plain | c::MS_NOEXEC).map_err(at(7))?;
    mount(c"tmpfs".as_ptr(), c"/dev/shm".as_ptr(), c"tmpfs".as_ptr(), plain).map_err(at(8))
}

/// `/proc/self/fd/N` without formatting machinery, which might allocate.
fn fd_path(fd: RawFd, path: &mut [u8; 32]) {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    path[..PREFIX.len()].copy_from_slice(PREFIX);
    let mut digits = [0_u8; 10];
    let mut count = 0;
    let mut rest = fd as u32;
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for i in 0..count {
        path[PREFIX.len() + i] = digits[count - 1 - i];
    }
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// No privileges to gain, none to keep: user 0 of the job's namespace is an ordinary user.
fn renounce(in_rooms: bool) -> Result<(), i32> {
    const NOROOT_LOCKED: c::c_ulong = 0b11;
    const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    // SAFETY: prctl and capset with the constants and layouts of their manual pages.
    unsafe {
        if c::prctl(c::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(errno());
        }
        if !in_rooms {
            // Orphans of a step come back to us, where the caller finds them by their parent.
            return if c::prctl(c::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 { Ok(()) } else { Err(errno()) };
        }
        if c::prctl(c::PR_SET_SECUREBITS, NOROOT_LOCKED, 0, 0, 0) != 0 {
            return Err(errno());
        }
        let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
        // Keep CAP_KILL, so that process 1 may signal everything in its namespace; executed programs do not get it.
        let kill = 1_u32 << 5;
        let data = [kill, kill, 0, 0, 0, 0];
        if c::syscall(c::SYS_capset, std::ptr::from_ref(&header), data.as_ptr()) != 0 {
            return Err(errno());
        }
    }
    Ok(())
}

fn report(kind: u32, value: i32, code: i32) {
    let mut bytes = [0_u8; REPORT_BYTES];
    bytes[..4].copy_from_slice(&kind.to_ne_bytes());
    bytes[4..8].copy_from_slice(&value.to_ne_bytes());
    bytes[8..].copy_from_slice(&code.to_ne_bytes());
    // SAFETY: the buffer is valid for its length. A caller that is gone is noticed by the next read.
    unsafe {
        c::send(SOCKET, bytes.as_ptr().cast(), bytes.len(), c::MSG_NOSIGNAL);
    }
}

fn serve(setup: &mut Setup, signals: RawFd) -> ! {
    let in_rooms = setup.rooms.is_some();
    let mut step: c::pid_t = -1;
    loop {
        let mut fds = [
            c::pollfd { fd: SOCKET, events: c::POLLIN, revents: 0 },
            c::pollfd { fd: signals, events: c::POLLIN, revents: 0 },
        ];
        // SAFETY: an array of two initialised pollfd.
        unsafe { c::poll(fds.as_mut_ptr(), 2, -1) };
        if fds[1].revents != 0 {
            reap(signals, &mut step);
        }
        if fds[0].revents != 0 {
            match receive(setup) {
                Some(RUN) => step = spawn(setup),
                Some(SIGNAL) => signal(setup, in_rooms, step),
                _ => depart(in_rooms, step),
            }
        }
    }
}

/// The caller is gone or has said goodbye: nothing of the job stays.
fn depart(in_rooms: bool, step: c::pid_t) -> ! {
    if !in_rooms && step > 0 {
        // SAFETY: plain kill(2) on the process group of the step.
        unsafe { c::kill(-step, c::SIGKILL) };
    }
    leave(0)
}

fn reap(signals: RawFd, step: &mut c::pid_t) {
    let mut info = [0_u8; 128];
    // SAFETY: drains the descriptor into a buffer of the size of signalfd_siginfo, then collects every ended child.
    unsafe {
        while c::read(signals, info.as_mut_ptr().cast(), info.len()) > 0 {}
        loop {
            let mut status: c::c_int = 0;
            let pid = c::waitpid(-1, &raw mut status, c::WNOHANG);
            if pid <= 0 {
                return;
            }
            if pid == *step {
                *step = -1;
                report(EXITED, status, 0);
            }
        }
    }
}

fn read_all(into: *mut u8, count: usize) -> bool {
    let mut done = 0;
    while done < count {
        // SAFETY: the caller guarantees `count` bytes at `into`.
        let n = unsafe { c::read(SOCKET, into.add(done).cast(), count - done) };
        if n > 0 {
            done += n as usize;
        } else if n == 0 || errno() != c::EINTR {
            return false;
        }
    }
    true
}

/// Reads one message into the buffer; its kind, or `None` when the caller is gone.
fn receive(setup: &mut Setup) -> Option<u32> {
    let mut head = [0_u8; 8];
    if !read_all(head.as_mut_ptr(), head.len()) {
        return None;
    }
    let kind = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
    let length = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if length > MAX_MESSAGE_BYTES || !read_all(setup.buffer.as_mut_ptr(), length) {
        return None;
    }
    // SAFETY: `length` bytes within the capacity were just written.
    unsafe { setup.buffer.set_len(length) };
    Some(kind)
}

fn number(bytes: &[u8], index: usize) -> u32 {
    let at = index * 4;
    match bytes.get(at..at + 4) {
        Some(b) => u32::from_ne_bytes([b[0], b[1], b[2], b[3]]),
        None => 0,
    }
}

/// A RUN message: number of arguments, number of variables, then NUL-terminated: directory, arguments, variables.
fn spawn(setup: &mut Setup) -> c::pid_t {
    let arguments = number(&setup.buffer, 0) as usize;
    let variables = number(&setup.buffer, 1) as usize;
    if arguments == 0 || arguments + variables > MAX_STRINGS {
        report(SPAWN_FAILED, 0, c::E2BIG);
        return -1;
    }
    setup.pointers.clear();
    let mut at = 8;
    let base = setup.buffer.as_mut_ptr();
    for index in 0..=(arguments + variables) {
        let Some(length) = setup.buffer.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0)) else {
            report(SPAWN_FAILED, 0, c::EINVAL);
            return -1;
        };
        if index == arguments + 1 {
            setup.pointers.push(std::ptr::null_mut()); // ends the arguments
        }
        // SAFETY: `at` is within the buffer.
        setup.pointers.push(unsafe { base.add(at) }.cast());
        at += length + 1;
    }
    if variables == 0 {
        setup.pointers.push(std::ptr::null_mut());
    }
    setup.pointers.push(std::ptr::null_mut());
    execute(setup.pointers[0], &setup.pointers[1..], &setup.pointers[arguments + 2..])
}

fn execute(directory: *const c::c_char, argv: &[*mut c::c_char], envp: &[*mut c::c_char]) -> c::pid_t {
    let mut pid: c::pid_t = -1;
    // SAFETY: both arrays end in a null pointer and point into the message buffer; attributes are initialised before
    // use. Neither chdir nor posix_spawn with these attributes allocates.
    let code = unsafe {
        if c::chdir(directory) != 0 {
            report(SPAWN_FAILED, 1, errno());
            return -1;
        }
        let mut attr: c::posix_spawnattr_t = std::mem::zeroed();
        c::posix_spawnattr_init(&raw mut attr);
        let mut set: c::sigset_t = std::mem::zeroed();
        c::sigfillset(&raw mut set);
        c::posix_spawnattr_setsigdefault(&raw mut attr, &raw const set);
        c::sigemptyset(&raw mut set);
        c::posix_spawnattr_setsigmask(&raw mut attr, &raw const set);
        c::posix_spawnattr_setpgroup(&raw mut attr, 0);
        let flags = c::POSIX_SPAWN_SETPGROUP | c::POSIX_SPAWN_SETSIGDEF | c::POSIX_SPAWN_SETSIGMASK;
        c::posix_spawnattr_setflags(&raw mut attr, flags as c::c_short);
        c::posix_spawn(&raw mut pid, argv[0], std::ptr::null(), &raw const attr, argv.as_ptr(), envp.as_ptr())
    };
    if code != 0 {
        report(SPAWN_FAILED, 0, code);
        return -1;
    }
    report(SPAWNED, pid, 0);
    pid
}

fn signal(setup: &Setup, in_rooms: bool, step: c::pid_t) {
    let number = number(&setup.buffer, 0) as c::c_int;
    // In a namespace of its own, -1 is everything but ourselves; outside of one it would be the whole machine.
    let target = if in_rooms { -1 } else { -step };
    if in_rooms || step > 0 {
        // SAFETY: plain kill(2).
        unsafe { c::kill(target, number) };
    }
}
