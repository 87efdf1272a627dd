//! The registry: templates, what they were called before, how bad they are, and which release said them first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PatternId;
use super::mask::Cut;
use crate::limits;
use crate::record::Severity;

/// Where and when a line was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) ts_ns: i64,
    pub(crate) version: Option<&'a str>,
    pub(crate) environment: Option<&'a str>,
    pub(crate) service: Option<&'a str>,
}

/// The earliest line of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSeen {
    /// Its time.
    pub ts_ns: i64,
    /// The release that wrote it, if it said so.
    pub version: Option<String>,
    /// Where that ran.
    pub environment: Option<String>,
    /// The service that wrote it, if it said so.
    #[serde(default)]
    pub service: Option<String>,
}

/// What is known of one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternInfo {
    /// Its number.
    pub id: PatternId,
    /// Its template, variable parts as `<_>`.
    pub template: String,
    /// Templates it had before it generalised, oldest first.
    pub aliases: Vec<String>,
    /// The worst severity of its lines.
    pub severity: Option<Severity>,
    /// Its first line.
    pub first_seen: FirstSeen,
    /// Its first line per release, at most `limits::PATTERN_VERSIONS_MAX` releases.
    pub versions: Vec<(String, i64)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cluster {
    pub(super) id: PatternId,
    pub(super) bucket: u64,
    /// `None` is a wildcard.
    words: Vec<Option<String>>,
    /// What stands before each word, and after the last.
    between: Vec<String>,
    truncated: bool,
    /// Words that became wildcards after the cluster began.
    widened: usize,
    aliases: Vec<String>,
    severity: Option<Severity>,
    first_seen: Option<FirstSeen>,
    versions: Vec<(String, i64)>,
}

impl Cluster {
    pub(super) fn new(id: PatternId, bucket: u64, line: &[u8], cut: &Cut) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut last = 0;
        let mut between = Vec::new();
        let mut words = Vec::new();
        for word in &cut.words {
            between.push(text(&line[last..word.start]));
            words.push((!word.varies).then(|| text(&line[word.start..word.end])));
            last = word.end;
        }
        between.push(text(&line[last..cut.len]));
        Self {
            id,
            bucket,
            words,
            between,
            truncated: cut.truncated,
            widened: 0,
            aliases: Vec::new(),
            severity: None,
            first_seen: None,
            versions: Vec::new(),
        }
    }

    /// Share of words the template would keep if the line joined it.
    pub(super) fn similarity(&self, line: &[u8], cut: &Cut) -> f64 {
        if self.words.len() != cut.words.len() {
            return 0.0;
        }
        if self.words.is_empty() {
            return 1.0;
        }
        let lost = self.differing(line, cut).count() + self.widened;
        1.0 - lost as f64 / self.words.len() as f64
    }

    /// Makes a wildcard of every word in which the line differs.
    pub(super) fn generalise(&mut self, line: &[u8], cut: &Cut) {
        let differing: Vec<usize> = self.differing(line, cut).collect();
        if differing.is_empty() {
            return;
        }
        if self.aliases.len() < limits::PATTERN_ALIASES_MAX {
            self.aliases.push(self.template());
        }
        self.widened += differing.len();
        for at in differing {
            self.words[at] = None;
        }
    }

    fn differing<'a>(&'a self, line: &'a [u8], cut: &'a Cut) -> impl Iterator<Item = usize> + 'a {
        self.words.iter().zip(&cut.words).enumerate().filter_map(|(at, (mine, word))| {
            let mine = mine.as_ref()?;
            (word.varies || mine.as_bytes() != &line[word.start..word.end]).then_some(at)
        })
    }

    fn template(&self) -> String {
        let mut out = String::new();
        for (between, word) in self.between.iter().zip(&self.words) {
            out.push_str(between);
            out.push_str(word.as_deref().unwrap_or(WILD));
        }
        out.push_str(self.between.last().map_or("", String::as_str));
        if self.truncated && !out.ends_with(WILD) {
            out.push_str(WILD);
        }
        out
    }
}

const WILD: &str = "<_>";
const FORMAT: u32 = 1;

/// All patterns, and when each release began to log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Registry {
    format: u32,
    pub(super) clusters: Vec<Cluster>,
    started: BTreeMap<String, i64>,
}

impl Registry {
    pub(crate) fn save(&self) -> Vec<u8> {
        let saved = Saved { format: FORMAT, clusters: &self.clusters, started: &self.started };
        serde_json::to_vec(&saved).expect("strings and numbers serialise")
    }

    pub(crate) fn load(bytes: &[u8]) -> Result<Self, String> {
        let registry: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if registry.format != FORMAT {
            return Err(format!("format {} is not {FORMAT}", registry.format));
        }
        let dense = registry.clusters.iter().enumerate().all(|(at, c)| c.id.0 as usize == at + 1);
        let shaped = registry.clusters.iter().all(|c| c.between.len() == c.words.len() + 1);
        if dense && shaped { Ok(registry) } else { Err("the patterns are not numbered in order".to_owned()) }
    }

    /// Notes that a pattern's line was written at a place and time.
    pub(super) fn note(&mut self, id: PatternId, severity: Option<Severity>, seen: Seen<'_>) {
        if let Some(version) = seen.version {
            self.note_start(version, seen.ts_ns);
        }
        let Some(cluster) = (id.0 as usize).checked_sub(1).and_then(|at| self.clusters.get_mut(at)) else { return };
        cluster.severity = cluster.severity.max(severity);
        if cluster.first_seen.as_ref().is_none_or(|first| seen.ts_ns < first.ts_ns) {
            cluster.first_seen = Some(FirstSeen {
                ts_ns: seen.ts_ns,
                version: seen.version.map(ToOwned::to_owned),
                environment: seen.environment.map(ToOwned::to_owned),
                service: seen.service.map(ToOwned::to_owned),
            });
        }
        let Some(version) = seen.version else { return };
        match cluster.versions.iter_mut().find(|(v, _)| v == version) {
            Some((_, ts)) => *ts = (*ts).min(seen.ts_ns),
            None => {
                cluster.versions.push((version.to_owned(), seen.ts_ns));
                if cluster.versions.len() > limits::PATTERN_VERSIONS_MAX {
                    cluster.versions.remove(0);
                }
            }
        }
    }

    fn note_start(&mut self, version: &str, ts_ns: i64) {
        if let Some(started) = self.started.get_mut(version) {
            *started = (*started).min(ts_ns);
        } else if self.started.len() < limits::VERSIONS_MAX {
            self.started.insert(version.to_owned(), ts_ns);
        }
    }

    pub(crate) fn info(&self, id: PatternId) -> Option<PatternInfo> {
        let cluster = self.clusters.get((id.0 as usize).checked_sub(1)?)?;
        Some(PatternInfo {
            id,
            template: cluster.template(),
            aliases: cluster.aliases.clone(),
            severity: cluster.severity,
            first_seen: cluster.first_seen.clone()?,
            versions: cluster.versions.clone(),
        })
    }

    /// Patterns with a higher number, in order, at most `limit`.
    pub(crate) fn after(&self, id: PatternId, limit: usize) -> Vec<PatternInfo> {
        let rest = self.clusters.get(id.0 as usize..).unwrap_or_default();
        rest.iter().take(limit).filter_map(|cluster| self.info(cluster.id)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Patterns that some release other than `version`, begun before it, said within `warmup_ns` of its own first line.
    pub(crate) fn start_up_patterns(&self, version: &str, warmup_ns: i64) -> Vec<PatternId> {
        let began = self.started.get(version).copied().unwrap_or(i64::MAX);
        let at_start = |(v, ts): &(String, i64)| {
            v != version && self.started.get(v).is_some_and(|s| *s < began && *ts < s.saturating_add(warmup_ns))
        };
        self.clusters.iter().filter(|c| c.versions.iter().any(at_start)).map(|c| c.id).collect()
    }
}

#[derive(Serialize)]
struct Saved<'a> {
    format: u32,
    clusters: &'a [Cluster],
    started: &'a BTreeMap<String, i64>,
}
