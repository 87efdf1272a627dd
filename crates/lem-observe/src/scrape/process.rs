//! CPU, memory and open files of a process and its descendants, read from `/proc` (proc(5)).

use std::fmt::Write as _;
use std::fs;
use std::io;

/// Linux counts CPU time for user space in hundredths of a second on every architecture (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Processes of one tree that are looked at.
const MAX_PROCESSES: usize = 1_000;

#[derive(Default)]
struct Usage {
    cpu_ticks: u64,
    resident_kib: u64,
    open_files: u64,
}

/// The usage of a process tree in the Prometheus text format. An error when the process is gone.
pub fn exposition(pid: u32) -> io::Result<String> {
    let mut usage = Usage::default();
    add(pid, &mut usage)?;
    let mut todo = children(pid);
    let mut looked = 1;
    while let Some(child) = todo.pop() {
        if looked >= MAX_PROCESSES {
            break;
        }
        looked += 1;
        // A descendant may end while we look; the parent then has its time.
        if add(child, &mut usage).is_ok() {
            todo.extend(children(child));
        }
    }
    let mut text = String::new();
    let mut one = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    let cpu = usage.cpu_ticks as f64 / TICKS_PER_SECOND;
    one("process_cpu_seconds_total", "counter", "CPU time of the process and its descendants.", cpu);
    let memory = usage.resident_kib as f64 * 1024.0;
    one("process_resident_memory_bytes", "gauge", "Resident memory of the process and its descendants.", memory);
    one("process_open_fds", "gauge", "Open files of the process and its descendants.", usage.open_files as f64);
    Ok(text)
}

fn add(pid: u32, usage: &mut Usage) -> io::Result<()> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything, so fields are counted behind its end: utime is field 14.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let state = fields.first().copied().unwrap_or_default();
    if state == "Z" || state == "X" {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has ended"));
    }
    usage.cpu_ticks += fields.iter().skip(11).take(4).filter_map(|f| f.parse::<u64>().ok()).sum::<u64>();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    usage.resident_kib += resident.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    usage.open_files += fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64);
    Ok(())
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return vec![] };
    let lists = threads.filter_map(|t| fs::read_to_string(t.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<u32>>()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let text = exposition(std::process::id()).unwrap();
        let memory = text.lines().find_map(|l| l.strip_prefix("process_resident_memory_bytes ")).unwrap();
        assert!(memory.parse::<f64>().unwrap() > 1e5, "{text}");
        assert!(text.contains("process_cpu_seconds_total"), "{text}");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(exposition(u32::MAX).is_err());
    }
}
