//! Answers of the log store as the UI shows them.

use crate::dto::{LogBar, LogHistogram, LogLine, LogPattern, PatternCount};
use jiff::Timestamp;
use lem_engine_logql::{MatrixSeries, StreamResult};
use lem_engine_logs::{Direction, PatternId, Severity};
use std::collections::BTreeMap;

/// Labels that say how bad a line is, best first.
const LEVELS: [&str; 3] = ["detected_level", "level", "severity"];
/// For lines that do not say.
const UNKNOWN: &str = "unknown";

fn time(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Lines of all streams in one order.
pub fn lines(streams: Vec<StreamResult>, direction: Direction) -> Vec<LogLine> {
    let mut lines = vec![];
    for mut stream in streams {
        let severity = LEVELS.iter().find_map(|name| stream.labels.get(*name).cloned());
        // Found out by the store, not said by the sender: it stands in `severity`.
        stream.labels.remove(LEVELS[0]);
        lines.extend(stream.entries.into_iter().map(|entry| {
            let line = LogLine {
                at: time(entry.ts_ns).into(),
                labels: stream.labels.clone(),
                line: String::from_utf8_lossy(&entry.line).into_owned(),
                severity: severity.clone(),
                pattern: None,
            };
            (entry.ts_ns, line)
        }));
    }
    match direction {
        Direction::Forward => lines.sort_by_key(|(ns, _)| *ns),
        Direction::Backward => lines.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns)),
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Bars from `first` to `last`, each known by its start; a series counts the lines of one severity up to each end.
pub fn histogram(series: &[MatrixSeries], first: i64, last: i64, width: i64) -> LogHistogram {
    let mut bars: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    let mut start = first;
    while start <= last {
        bars.insert(start, BTreeMap::new());
        start += width;
    }
    for one in series {
        let level = one.labels.get(LEVELS[0]).map_or(UNKNOWN, String::as_str);
        for (end, count) in &one.points {
            if let Some(bar) = bars.get_mut(&(end - width)) {
                bar.insert(level.to_owned(), count.round() as u64);
            }
        }
    }
    let bar = |(start, counts)| LogBar { at: time(start).into(), counts };
    LogHistogram { step_ms: (width / 1_000_000) as u64, bars: bars.into_iter().map(bar).collect() }
}

/// Patterns with their versions, the most frequent first.
pub fn patterns(counts: Vec<lem_engine_logs::PatternCount>) -> Vec<LogPattern> {
    let mut patterns: BTreeMap<PatternId, (LogPattern, Option<Severity>)> = BTreeMap::new();
    for count in counts {
        let first = count.first_seen;
        let (pattern, worst) = patterns.entry(count.id).or_insert_with(|| {
            let pattern = LogPattern {
                id: count.id.0.to_string(),
                template: count.template,
                severity: UNKNOWN.to_owned(),
                count: 0,
                first_seen: first.as_ref().map(|f| time(f.ts_ns).into()),
                first_version: first.and_then(|f| f.version),
                versions: vec![],
            };
            (pattern, None)
        });
        pattern.count += count.count;
        *worst = (*worst).max(count.severity);
        let version = count.version.unwrap_or_else(|| UNKNOWN.to_owned());
        match pattern.versions.iter_mut().find(|v| v.version == version) {
            Some(known) => known.count += count.count,
            None => pattern.versions.push(PatternCount { version, count: count.count }),
        }
    }
    let said = |(mut pattern, worst): (LogPattern, Option<Severity>)| {
        pattern.severity = worst.map_or(UNKNOWN, Severity::as_str).to_owned();
        pattern
    };
    let mut patterns: Vec<_> = patterns.into_values().map(said).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.count));
    patterns
}
