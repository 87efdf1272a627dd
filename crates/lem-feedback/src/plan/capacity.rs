//! Whether an incident is one of memory or saturation: then advice about sizes is asked for.

use super::rank::Evidence;
use super::stats::median;
use crate::state::{Exit, Incident};
use jiff::SignedDuration;
use lem_model::fact::Onset;
use lem_model::port::Scope;
use std::fmt;

/// What ran short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Memory.
    Memory,
    /// Processor time.
    Cpu,
    /// Disk.
    Disk,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Memory => "memory",
            Resource::Cpu => "processor time",
            Resource::Disk => "disk",
        })
    }
}

/// A shortage and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What ran short.
    pub resource: Resource,
    /// What shows it, as a sentence with numbers or a quoted line.
    pub sentence: String,
}

/// An instance that ended this long before the onset may belong to it.
const BEFORE_ONSET: SignedDuration = SignedDuration::from_mins(1);
/// Growth of a version's memory that counts by itself.
const GROWTH: f64 = 2.0;
/// Points of the past without which growth says nothing.
const MIN_POINTS: usize = 3;
/// Characters of a line that are quoted.
const QUOTED: usize = 160;

/// What runtimes and kernels say when memory is gone.
const NO_MEMORY: [&str; 8] = [
    "out of memory",
    "out-of-memory",
    "outofmemory",
    "oomkilled",
    "oom-kill",
    "heap limit",
    "cannot allocate memory",
    "bad_alloc",
];
/// Words of alert rules and queries, per resource.
const WORDS: [(Resource, &[&str]); 3] = [
    (Resource::Memory, &["memory", "oom", "oomkilled", "heap"]),
    (Resource::Cpu, &["cpu", "throttled", "throttling", "throttle", "saturation", "saturated"]),
    (Resource::Disk, &["disk", "filesystem"]),
];

/// The shortage behind an incident, if its instances, its log lines, its alert or its memory show one.
pub fn shortage(incident: &Incident, exits: &[Exit], onset: &Onset, evidence: &Evidence) -> Option<Shortage> {
    let scope = incident.scope()?;
    by_exit(&scope, exits, onset)
        .or_else(|| by_lines(evidence))
        .or_else(|| by_alert(incident))
        .or_else(|| by_growth(onset, evidence))
}

fn says_no_memory(line: &str) -> bool {
    let line = line.to_lowercase();
    NO_MEMORY.iter().any(|sign| line.contains(sign))
}

fn quoted(line: &str) -> String {
    line.trim().chars().take(QUOTED).collect()
}

fn by_exit(scope: &Scope, exits: &[Exit], onset: &Onset) -> Option<Shortage> {
    let since = onset.from.checked_sub(BEFORE_ONSET).unwrap_or(onset.from);
    let mine = exits.iter().filter(|e| e.at >= since && !e.fact.expected);
    mine.filter(|e| e.fact.service == scope.service && e.fact.environment == scope.environment).find_map(|e| {
        let said = [&e.fact.status].into_iter().chain(&e.fact.last_lines).find(|line| says_no_memory(line))?;
        let sentence = format!("an instance of {} {} ended: {}", e.fact.service, e.fact.version, quoted(said));
        Some(Shortage { resource: Resource::Memory, sentence })
    })
}

fn by_lines(evidence: &Evidence) -> Option<Shortage> {
    let said = evidence.patterns.iter().find(|p| says_no_memory(&p.sample) || says_no_memory(&p.template))?;
    let sentence = format!("{} error lines of {} say: {}", said.count, said.version, quoted(&said.sample));
    Some(Shortage { resource: Resource::Memory, sentence })
}

fn by_alert(incident: &Incident) -> Option<Shortage> {
    let alert = incident.alert.as_ref()?;
    let words = words(&alert.rule).chain(words(&alert.query)).collect::<Vec<_>>();
    let (resource, word) = WORDS
        .iter()
        .find_map(|(resource, known)| words.iter().find(|w| known.contains(&w.as_str())).map(|w| (*resource, w)))?;
    Some(Shortage { resource, sentence: format!("alert {} fired at {} and is about {word}", alert.rule, alert.value) })
}

/// Words of a rule's name or a query: `HighMemoryUse` has three, `process_resident_memory_bytes` four.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).flat_map(|part| {
        let mut words = vec![String::new()];
        let mut last_lower = false;
        for c in part.chars() {
            if c.is_uppercase() && last_lower {
                words.push(String::new());
            }
            last_lower = c.is_lowercase();
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        words
    })
}

fn by_growth(onset: &Onset, evidence: &Evidence) -> Option<Shortage> {
    let mut memory = evidence.series.iter().filter(|s| s.labels.get("signal").is_some_and(|s| s == "memory"));
    memory.find_map(|series| {
        let part = |after: bool| -> Vec<f64> {
            let of = series.points.iter().filter(|(t, v)| v.is_finite() && (*t > onset.from) == after);
            of.map(|(_, v)| *v).collect()
        };
        let (before, after) = (part(false), part(true));
        let (old, new) = (median(&before).filter(|_| before.len() >= MIN_POINTS)?, median(&after)?);
        let of = series.labels.get("version").map_or("the service", String::as_str);
        let sentence = || format!("memory of {of} stands at {:.1} times what it was before", new / old);
        (old > 0.0 && new / old >= GROWTH).then(|| Shortage { resource: Resource::Memory, sentence: sentence() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_rules_and_queries() {
        for (text, expect) in [
            ("HighMemoryUse", "high memory use"),
            ("process_resident_memory_bytes{room=\"zoom\"}", "process resident memory bytes room zoom"),
            ("PodOOMKilled", "pod oomkilled"),
            ("OOM", "oom"),
        ] {
            let found: Vec<String> = words(text).filter(|w| !w.is_empty()).collect();
            assert_eq!(found.join(" "), expect, "{text}");
        }
    }

    #[test]
    fn what_runtimes_say() {
        assert!(says_no_memory("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"));
        assert!(says_no_memory("java.lang.OutOfMemoryError: Java heap space"));
        assert!(!says_no_memory("memory of an elephant"));
    }
}
