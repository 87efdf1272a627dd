//! Every limit is reached once.

use lem_engine_metrics::{Labels, MAX_BATCH_SAMPLES, Options, Sample, StoreError};

use crate::support::*;

#[test]
fn new_series_over_the_budget_are_refused_and_the_culprit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Options { max_series: 5, ..options() });
    let series = |metric: &str, pod: i32| {
        let pod = pod.to_string();
        Labels::new([("__name__", metric), ("job", "api"), ("pod", &pod)]).unwrap()
    };
    store.append(&[Sample::new(series("up", 0), 1, 1.0)]).unwrap();
    for pod in 0..4 {
        assert_eq!(store.append(&[Sample::new(series("requests", pod), 1, 1.0)]).unwrap().accepted, 1);
    }
    let batch = [Sample::new(series("up", 1), 2, 1.0), Sample::new(series("requests", 3), 2, 1.0)];
    let appended = store.append(&batch).unwrap();
    assert_eq!(appended.accepted, 1, "series that exist go on");
    let text = "series limit of 5 reached; metric \"requests\" has 4 series (label \"pod\" has 4 values)";
    assert_eq!(refused(appended), text);
    let over = store.status().over_budget.unwrap();
    assert_eq!((over.rejected, over.culprit.metric.as_str(), over.culprit.label.as_str()), (1, "requests", "pod"));
    assert!(store.resolve(&series("up", 2)).is_err());
    // What was accepted before survives a smaller budget.
    drop(store);
    let store = open(dir.path(), Options { max_series: 1, ..options() });
    assert_eq!(store.status().head_series, 5);
}

#[test]
fn room_in_the_budget_comes_back_when_series_leave_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Options { max_series: 2, ..options() });
    add(&store, "old", 10, 1.0);
    add(&store, "steady", 10, 1.0);
    assert_eq!(add(&store, "new", 20, 1.0).accepted, 0);
    add(&store, "steady", 3_000, 1.0);
    store.maintain().unwrap();
    assert_eq!(add(&store, "new", 3_000, 1.0).accepted, 1);
}

#[test]
fn a_batch_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let series = store.resolve(&labels(1)).unwrap();
    let batch = vec![Sample::by_ref(series, 1, 1.0); MAX_BATCH_SAMPLES + 1];
    let error = store.append(&batch).unwrap_err();
    assert_eq!(error.to_string(), "1000001 samples in one batch, at most 1000000 are allowed");
}

#[test]
fn a_query_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Options { max_select_samples: 10, ..options() });
    (0..11).for_each(|t| drop(add(&store, 1, t, 1.0)));
    assert!(store.select(&up(), 1, 10).is_ok());
    let error = store.select(&up(), 0, 10).unwrap_err();
    assert!(matches!(error, StoreError::TooManySamples { limit: 10 }), "{error}");
}

#[test]
fn options_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let check = |options: Options, expect: &str| {
        assert_eq!(lem_engine_metrics::Store::open(dir.path(), options).unwrap_err().to_string(), expect);
    };
    check(Options { block_range_ms: 1, ..options() }, "option block_range_ms is invalid: must be at least 2 ms");
    let text = "option compact_ranges_ms is invalid: each range must be a multiple of the one before";
    check(Options { compact_ranges_ms: vec![1_500], ..options() }, text);
    let text = "option out_of_order_window_ms is invalid: must not be negative";
    check(Options { out_of_order_window_ms: -1, ..options() }, text);
}
