//! Children that outlived the program: found by their notes, ended by their group.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Time a leftover group gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A note about a child: enough to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) pid: u32,
    /// Field 22 of `/proc/PID/stat`: a process id that was given out again has another one.
    pub(super) start: u64,
    pub(super) instance: String,
}

/// When a process started, in clock ticks since boot.
pub(super) fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; fields are counted after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Ends every group whose note still holds and removes the notes.
pub(super) async fn end_all(notes: &Path) {
    let Ok(list) = std::fs::read_dir(notes) else { return };
    let files: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    let found: Vec<Note> = files
        .iter()
        .filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok())
        .filter(|note: &Note| start_of(note.pid) == Some(note.start))
        .collect();
    for note in &found {
        tracing::info!(instance = %note.instance, pid = note.pid, "ending a child an earlier run left behind");
        signal_group(note.pid, Signal::SIGTERM);
    }
    let deadline = tokio::time::Instant::now() + GRACE;
    while found.iter().any(|note| start_of(note.pid) == Some(note.start)) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for note in &found {
        end_tree(note.pid, &note.instance);
    }
    for path in files {
        // A note that cannot be removed is read again next time, and does no harm.
        let _ = std::fs::remove_file(path);
    }
}

/// Signals a group; one that is gone is what we want.
pub(super) fn signal_group(pid: u32, signal: Signal) {
    let _ = killpg(Pid::from_raw(pid as i32), signal);
}

/// Ends the group and whatever left it: children carry the instance's name in their environment.
pub(super) fn end_tree(pid: u32, instance: &str) {
    signal_group(pid, Signal::SIGKILL);
    let mark = format!("LEM_INSTANCE={instance}");
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(environ) = std::fs::read(entry.path().join("environ")) else { continue };
        if environ.split(|b| *b == 0).any(|variable| variable == mark.as_bytes()) {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
