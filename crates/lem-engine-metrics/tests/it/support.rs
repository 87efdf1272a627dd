//! Stores in temporary folders, and short ways to write and read them.

use std::path::Path;

use lem_engine_metrics::{
    Appended, Clock, Labels, Maintenance, MatchOp, Matcher, OpenReport, Options, Sample, Selected, Store,
};

pub(crate) const ALL: (i64, i64) = (i64::MIN, i64::MAX);
/// "Now" in every test.
pub(crate) const NOW: i64 = 1_000_000_000;

/// Small blocks, no threads, a fixed clock.
pub(crate) fn options() -> Options {
    Options {
        block_range_ms: 1_000,
        compact_ranges_ms: vec![3_000, 12_000],
        out_of_order_window_ms: 100,
        retention_ms: None,
        maintenance: Maintenance::Manual,
        clock: Clock::new(|| NOW),
        ..Options::default()
    }
}

pub(crate) fn open(dir: &Path, options: Options) -> Store {
    open_report(dir, options).0
}

pub(crate) fn open_report(dir: &Path, options: Options) -> (Store, OpenReport) {
    Store::open(dir, options).unwrap()
}

/// `up{i="N"}`
pub(crate) fn labels(n: impl ToString) -> Labels {
    Labels::new([("__name__".to_owned(), "up".to_owned()), ("i".to_owned(), n.to_string())]).unwrap()
}

pub(crate) fn add(store: &Store, n: impl ToString, t_ms: i64, value: f64) -> Appended {
    store.append(&[Sample::new(labels(n), t_ms, value)]).unwrap()
}

/// The reason for which one sample was refused.
pub(crate) fn refused(appended: Appended) -> String {
    assert_eq!(appended.rejected.len(), 1, "{appended:?}");
    appended.rejected[0].1.to_string()
}

pub(crate) fn up() -> Vec<Matcher> {
    vec![Matcher::equal("__name__", "up")]
}

pub(crate) fn matcher(op: MatchOp, name: &str, value: &str) -> Matcher {
    Matcher::new(op, name, value).unwrap()
}

pub(crate) fn everything(store: &Store) -> Selected {
    store.select(&up(), ALL.0, ALL.1).unwrap()
}

/// All samples as one line per series, such as `up{i="1"}: 10=1 20=2`. Fails on warnings.
pub(crate) fn dump(store: &Store) -> Vec<String> {
    let found = everything(store);
    assert_eq!(found.warnings, Vec::<String>::new());
    lines(&found)
}

pub(crate) fn lines(found: &Selected) -> Vec<String> {
    let line = |(labels, points): &(Labels, Vec<(i64, f64)>)| {
        let points: Vec<String> = points.iter().map(|(t, v)| format!("{t}={v}")).collect();
        format!("{}: {}", labels.value("i"), points.join(" "))
    };
    found.series.iter().map(line).collect()
}
