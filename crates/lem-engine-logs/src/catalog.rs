//! The catalogue: labels, series, volume, statistics and patterns, answered from headers and per-minute tallies without
//! reading a line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::block::{MINUTE_NS, Tally, read_tallies};
use crate::diff::SeenBefore;
use crate::error::Warning;
use crate::matcher::{Matcher, all_match};
use crate::pattern::{PatternId, PatternInfo};
use crate::record::StreamKey;
use crate::store::{LogStore, PatternCount, PatternSamples};

/// Which streams, and when.
#[derive(Debug, Clone, Default)]
pub struct LabelRange {
    /// On the stream's labels.
    pub matchers: Vec<Matcher>,
    /// First instant, inclusive.
    pub start_ns: i64,
    /// Last instant, exclusive.
    pub end_ns: i64,
}

impl LabelRange {
    /// Matching streams between two instants.
    pub fn new(matchers: Vec<Matcher>, start_ns: i64, end_ns: i64) -> Self {
        Self { matchers, start_ns, end_ns }
    }
}

/// Lines and bytes of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The stream.
    pub stream: Arc<StreamKey>,
    /// Start of the step, or of the range.
    pub start_ns: i64,
    /// Lines.
    pub lines: u64,
    /// Bytes of the lines.
    pub bytes: u64,
}

/// What a range holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Streams.
    pub streams: u64,
    /// Blocks, those in memory counted as one per stream.
    pub chunks: u64,
    /// Lines.
    pub entries: u64,
    /// Bytes of the lines.
    pub bytes: u64,
}

/// Minutes are the resolution of volume, statistics and pattern counts: a minute counts if the range touches it.
impl LogStore {
    /// Label names in use.
    pub fn labels(&self, range: &LabelRange) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for key in self.streams(range) {
            names.extend(key.labels.iter().map(|(name, _)| name.to_owned()));
        }
        names
    }

    /// Values of one label.
    pub fn label_values(&self, name: &str, range: &LabelRange) -> BTreeSet<String> {
        self.streams(range).iter().filter_map(|key| key.labels.get(name).map(ToOwned::to_owned)).collect()
    }

    /// Streams that have lines in blocks touching the range, sorted.
    pub fn series(&self, range: &LabelRange) -> Vec<Arc<StreamKey>> {
        self.streams(range).into_iter().collect()
    }

    fn streams(&self, range: &LabelRange) -> BTreeSet<Arc<StreamKey>> {
        let mut keys = BTreeSet::new();
        let state = self.shared.state.read();
        for part in state.parts.iter().filter(|p| p.overlaps(range.start_ns, range.end_ns)) {
            let wanted: Vec<_> = part.streams.iter().map(|k| all_match(&range.matchers, &k.labels)).collect();
            for block in &part.blocks {
                let overlaps = block.min_ts < range.end_ns && block.max_ts >= range.start_ns;
                if overlaps && wanted[block.stream as usize] {
                    keys.insert(Arc::clone(part.key(block)));
                }
            }
        }
        for head in state.sealed.as_ref().map(|s| &*s.head).into_iter().chain([&state.active]) {
            for (key, stream) in &head.streams {
                let overlaps = stream.min_ts < range.end_ns && stream.max_ts >= range.start_ns;
                if overlaps && all_match(&range.matchers, &key.labels) {
                    keys.insert(Arc::clone(key));
                }
            }
        }
        keys
    }

    /// Lines and bytes per stream, per step if one is given.
    pub fn volume(&self, range: &LabelRange, step_ns: Option<i64>) -> (Vec<Volume>, Vec<Warning>) {
        let mut sums: BTreeMap<(Arc<StreamKey>, i64), Tally> = BTreeMap::new();
        let (_, warnings) = self.each_tally(range, &mut |key, minute, _, tally| {
            let start = step_start(range.start_ns, minute, step_ns);
            sums.entry((Arc::clone(key), start)).or_default().add(tally);
        });
        let volume = |((stream, start_ns), tally): ((Arc<StreamKey>, i64), Tally)| Volume {
            stream,
            start_ns,
            lines: tally.count,
            bytes: tally.bytes,
        };
        (sums.into_iter().map(volume).collect(), warnings)
    }

    /// Streams, blocks, lines and bytes of a range.
    pub fn stats(&self, range: &LabelRange) -> (Stats, Vec<Warning>) {
        let mut stats = Stats::default();
        let mut streams = BTreeSet::new();
        let (chunks, warnings) = self.each_tally(range, &mut |key, _, _, tally| {
            if !streams.contains(key) {
                streams.insert(Arc::clone(key));
            }
            stats.entries += tally.count;
            stats.bytes += tally.bytes;
        });
        stats.streams = streams.len() as u64;
        stats.chunks = chunks;
        (stats, warnings)
    }

    /// Patterns with their counts per release and environment, most frequent first.
    pub fn patterns(&self, range: &LabelRange) -> (Vec<PatternCount>, Vec<Warning>) {
        type Group = (PatternId, Option<String>, Option<String>);
        let mut sums: BTreeMap<Group, Tally> = BTreeMap::new();
        let (_, warnings) = self.each_tally(range, &mut |key, _, pattern, tally| {
            sums.entry((pattern, key.version.clone(), key.environment.clone())).or_default().add(tally);
        });
        let miner = self.shared.miner.lock();
        let mut counts: Vec<_> = sums
            .into_iter()
            .map(|((id, version, environment), tally)| {
                let info = miner.registry.info(id);
                PatternCount {
                    id,
                    template: info.as_ref().map_or_else(|| "<_>".to_owned(), |i| i.template.clone()),
                    severity: tally.severity,
                    version,
                    environment,
                    count: tally.count,
                    bytes: tally.bytes,
                    first_seen: info.map(|i| i.first_seen),
                }
            })
            .collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then(a.id.cmp(&b.id)));
        (counts, warnings)
    }

    /// Patterns with their counts per step, most frequent first.
    pub fn pattern_samples(&self, range: &LabelRange, step_ns: i64) -> (Vec<PatternSamples>, Vec<Warning>) {
        let mut sums: BTreeMap<PatternId, BTreeMap<i64, u64>> = BTreeMap::new();
        let (_, warnings) = self.each_tally(range, &mut |_, minute, pattern, tally| {
            let start = step_start(range.start_ns, minute, Some(step_ns));
            *sums.entry(pattern).or_default().entry(start).or_default() += tally.count;
        });
        let miner = self.shared.miner.lock();
        let template = |id| miner.registry.info(id).map_or_else(|| "<_>".to_owned(), |i| i.template);
        let mut all: Vec<_> =
            sums.into_iter().map(|(id, samples)| PatternSamples { id, template: template(id), samples }).collect();
        all.sort_by_key(|p| (std::cmp::Reverse(p.samples.values().sum::<u64>()), p.id));
        (all, warnings)
    }

    /// All that is known of one pattern.
    pub fn pattern(&self, id: PatternId) -> Option<PatternInfo> {
        self.shared.miner.lock().registry.info(id)
    }

    /// Patterns numbered after `id`, in order, at most `limit`: a caller that keeps the last number hears of each pattern
    /// once.
    pub fn patterns_after(&self, id: PatternId, limit: usize) -> Vec<PatternInfo> {
        self.shared.miner.lock().registry.after(id, limit)
    }

    /// Patterns that earlier releases said in their first minutes: start-up noise for `version`.
    pub fn seen_before(&self, version: &str, warmup: std::time::Duration) -> SeenBefore {
        let warmup_ns = warmup.as_nanos().min(i64::MAX as u128) as i64;
        let ids = self.shared.miner.lock().registry.start_up_patterns(version, warmup_ns);
        SeenBefore { start_up: ids.into_iter().collect() }
    }

    /// Calls `found` with every tally of the matching streams; gives the number of blocks read.
    fn each_tally(
        &self,
        range: &LabelRange,
        found: &mut dyn FnMut(&Arc<StreamKey>, i64, PatternId, Tally),
    ) -> (u64, Vec<Warning>) {
        let touches = |minute: i64| {
            let start = minute.saturating_mul(MINUTE_NS);
            start < range.end_ns && start.saturating_add(MINUTE_NS) > range.start_ns
        };
        let mut chunks = 0;
        let parts = {
            let state = self.shared.state.read();
            for head in state.sealed.as_ref().map(|s| &*s.head).into_iter().chain([&state.active]) {
                for (key, stream) in head.streams.iter().filter(|(k, _)| all_match(&range.matchers, &k.labels)) {
                    let before = chunks;
                    for ((minute, pattern), tally) in stream.tallies.iter().filter(|((m, _), _)| touches(*m)) {
                        chunks = before + 1;
                        found(key, *minute, *pattern, *tally);
                    }
                }
            }
            state.parts.clone()
        };
        // A minute that only begins or ends in the range belongs to it, so parts are asked with a minute to spare.
        let (start, end) = (range.start_ns.saturating_sub(MINUTE_NS), range.end_ns.saturating_add(MINUTE_NS));
        let near: Vec<_> = parts.into_iter().filter(|p| p.overlaps(start, end)).collect();
        for part in near.iter().filter(|p| p.damage().is_none()) {
            let wanted: Vec<_> = part.streams.iter().map(|k| all_match(&range.matchers, &k.labels)).collect();
            for block in part.blocks.iter().filter(|b| wanted[b.stream as usize] && b.min_ts < end && b.max_ts >= start)
            {
                match part.fetch(&block.tallies).and_then(|raw| read_tallies(&raw)) {
                    Ok(tallies) => {
                        let before = chunks;
                        for ((minute, pattern), tally) in tallies.into_iter().filter(|((m, _), _)| touches(*m)) {
                            chunks = before + 1;
                            found(part.key(block), minute, pattern, tally);
                        }
                    }
                    Err(why) => {
                        part.quarantine(&why);
                        break;
                    }
                }
            }
        }
        let missing = near.iter().filter(|p| p.overlaps(range.start_ns, range.end_ns)).filter_map(|p| p.warning());
        (chunks, missing.collect())
    }
}

fn step_start(start_ns: i64, minute: i64, step_ns: Option<i64>) -> i64 {
    let Some(step) = step_ns.filter(|step| *step > 0) else { return start_ns };
    let at = minute.saturating_mul(MINUTE_NS).max(start_ns);
    start_ns + (at - start_ns) / step * step
}
