//! Append rules, reading by matcher and range.

use lem_engine_metrics::{Labels, MatchOp, Options, STALE_BITS, Sample, SeriesRef, is_stale};

use crate::support::*;

#[test]
fn append_rules_without_window() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Options { out_of_order_window_ms: 0, ..options() });
    assert_eq!(add(&store, 1, 5_000, 1.0).accepted, 1);
    assert_eq!(add(&store, 1, 5_000, 1.0).duplicates, 1);
    assert_eq!(refused(add(&store, 1, 5_000, 2.0)), "duplicate sample for timestamp");
    assert_eq!(refused(add(&store, 1, 4_999, 1.0)), "out of order sample");
    assert_eq!(refused(add(&store, 1, 4_000, 1.0)), "out of bounds");
    assert_eq!(refused(add(&store, 2, 4_000, 1.0)), "out of bounds");
    assert_eq!(add(&store, 2, 4_600, 1.0).accepted, 1);
    assert_eq!(dump(&store), ["1: 5000=1", "2: 4600=1"]);
}

#[test]
fn append_rules_with_window() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    add(&store, 1, 5_000, 1.0);
    assert_eq!(add(&store, 1, 4_900, 2.0).accepted, 1);
    assert_eq!(add(&store, 1, 4_900, 2.0).duplicates, 1);
    assert_eq!(refused(add(&store, 1, 4_900, 3.0)), "duplicate sample for timestamp");
    assert_eq!(refused(add(&store, 1, 4_899, 1.0)), "too old sample");
    assert_eq!(dump(&store), ["1: 4900=2 5000=1"]);
}

#[test]
fn samples_ahead_of_the_clock_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    assert_eq!(add(&store, 1, NOW + 600_000, 1.0).accepted, 1);
    let reason = refused(add(&store, 2, NOW + 600_001, 1.0));
    assert_eq!(reason, "out of bounds: sample is 600001 ms in the future");
    assert_eq!(store.status().head_series, 1);
}

#[test]
fn good_samples_of_a_batch_are_stored_and_bad_ones_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let sample = |n: u32, t, v| Sample::new(labels(n), t, v);
    let batch =
        [sample(1, 100, 1.0), sample(1, 100, 2.0), sample(2, 100, 1.0), sample(1, 100, 1.0), sample(1, 110, 3.0)];
    let appended = store.append(&batch).unwrap();
    assert_eq!((appended.accepted, appended.duplicates), (3, 1));
    assert_eq!(appended.rejected.iter().map(|r| r.0).collect::<Vec<_>>(), [1]);
    assert_eq!(dump(&store), ["1: 100=1 110=3", "2: 100=1"]);
}

#[test]
fn every_nan_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let patterns =
        [STALE_BITS, 0x7ff8_0000_0000_0001, f64::NAN.to_bits() | 7, (-0.0f64).to_bits(), f64::INFINITY.to_bits()];
    let store = open(dir.path(), options());
    for (i, bits) in patterns.iter().enumerate() {
        assert_eq!(add(&store, 1, i as i64, f64::from_bits(*bits)).accepted, 1);
    }
    drop(store);
    let store = open(dir.path(), options());
    let found = everything(&store);
    let bits: Vec<u64> = found.series[0].1.iter().map(|(_, v)| v.to_bits()).collect();
    assert_eq!(bits, patterns);
    assert!(is_stale(found.series[0].1[0].1));
    assert!(!is_stale(found.series[0].1[1].1));
}

#[test]
fn refs_are_a_short_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let series = store.resolve(&labels(1)).unwrap();
    assert_eq!(store.append(&[Sample::by_ref(series, 10, 1.0)]).unwrap().accepted, 1);
    assert_eq!(store.labels_of(series), Some(labels(1)));
    assert_eq!(dump(&store), ["1: 10=1"]);
    drop(store);
    let store = open(dir.path(), options());
    assert_eq!(dump(&store), ["1: 10=1"]);
    let other = store.resolve(&labels(2)).unwrap();
    let unknown = store.append(&[Sample::by_ref(other, 11, 1.0), Sample::by_ref(stranger(), 11, 1.0)]).unwrap();
    assert_eq!(unknown.accepted, 1);
    assert!(refused(unknown).starts_with("unknown series ref"));
}

/// A ref from a store with many more series.
fn stranger() -> SeriesRef {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let refs: Vec<SeriesRef> = (0..100).map(|n| store.resolve(&labels(n)).unwrap()).collect();
    refs[99]
}

#[test]
fn matchers_select() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let series = [("a", "api", ""), ("b", "web", "eu"), ("c", "worker", "us")];
    for (i, job, zone) in series {
        let labels = Labels::new([("__name__", "up"), ("i", i), ("job", job), ("zone", zone)]).unwrap();
        store.append(&[Sample::new(labels, 10, 1.0)]).unwrap();
    }
    let check = |op, name: &str, value: &str, expect: &str| {
        let found = store.select(&[matcher(op, name, value)], 0, 100).unwrap();
        let names: String = found.series.iter().map(|(labels, _)| labels.value("i").to_owned()).collect();
        assert_eq!(names, expect, "{name} {op:?} {value}");
    };
    use MatchOp::*;
    check(Equal, "job", "api", "a");
    check(Equal, "zone", "", "a");
    check(NotEqual, "zone", "", "bc");
    check(NotEqual, "zone", "eu", "ac");
    check(Regex, "job", "w.*", "bc");
    check(Regex, "zone", "eu|", "ab");
    check(Regex, "job", "api|web", "ab");
    check(NotRegex, "job", "api|web", "c");
    check(NotRegex, "zone", ".+", "a");
    check(Regex, "nothing", ".*", "abc");
    check(Equal, "nothing", "x", "");
    assert_eq!(store.label_names(&up(), 0, 100).unwrap().found, ["__name__", "i", "job", "zone"]);
    assert_eq!(store.label_values("zone", &[], 0, 100).unwrap().found, ["eu", "us"]);
    assert_eq!(store.label_values("zone", &[], 11, 100).unwrap().found, Vec::<String>::new());
    assert_eq!(store.series(&[matcher(Equal, "job", "web")], 0, 100).unwrap().found.len(), 1);
}

#[test]
fn both_ends_of_a_range_are_included() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    (1..=5).for_each(|t| drop(add(&store, 1, t * 10, t as f64)));
    assert_eq!(lines(&store.select(&up(), 20, 40).unwrap()), ["1: 20=2 30=3 40=4"]);
    assert!(store.select(&up(), 41, 49).unwrap().series.is_empty());
    assert!(store.select(&[], 0, 1).is_err());
}

#[test]
fn many_late_samples_come_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    add(&store, 1, 200, 0.0);
    for t in (100..200).rev() {
        assert_eq!(add(&store, 1, t, t as f64).accepted, 1);
    }
    let times: Vec<i64> = everything(&store).series[0].1.iter().map(|p| p.0).collect();
    assert_eq!(times, (100..=200).collect::<Vec<_>>());
    drop(store);
    let store = open(dir.path(), options());
    assert_eq!(everything(&store).series[0].1.len(), 101);
    store.checkpoint().unwrap();
    drop(store);
    let store = open(dir.path(), options());
    assert_eq!(everything(&store).series[0].1.len(), 101);
    assert_eq!(refused(add(&store, 1, 150, 0.0)), "duplicate sample for timestamp");
}
