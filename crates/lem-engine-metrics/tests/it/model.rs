//! The store equals a map under random appends, deletions, maintenance and reopenings.

use std::collections::BTreeMap;

use lem_engine_metrics::{Matcher, Options, RejectReason, Sample, Store};
use proptest::prelude::*;

use crate::support::*;

const RANGE: i64 = 1_000;

#[derive(Debug, Clone)]
enum Step {
    /// Series, offset from the newest time, value.
    Append(Vec<(u8, i64, u8)>),
    Advance(i64),
    Delete(u8, i64, i64),
    Maintain,
    Checkpoint,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let sample = (0u8..5, -1_200i64..200, 0u8..4);
    prop_oneof![
        8 => proptest::collection::vec(sample, 1..8).prop_map(Step::Append),
        3 => (1i64..900).prop_map(Step::Advance),
        1 => (0u8..5, -3_000i64..0, 0i64..1_000).prop_map(|(s, from, len)| Step::Delete(s, from, len)),
        1 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

/// The append rules over plain maps.
#[derive(Debug)]
struct Model {
    late: i64,
    series: BTreeMap<u8, BTreeMap<i64, u8>>,
    /// Newest sample in order of each series.
    last: BTreeMap<u8, (i64, u8)>,
    newest: i64,
}

impl Model {
    fn append(&mut self, batch: &[(u8, i64, u8)]) -> Vec<Option<RejectReason>> {
        let (window_end, before) = (self.newest, self.last.clone());
        let judge = |&(series, t, value): &(u8, i64, u8)| match before.get(&series) {
            // A repetition of what was newest before the batch is known as one, whatever else the batch holds.
            Some(&(newest, same)) if newest == t && t >= window_end.saturating_sub(RANGE / 2) => {
                (same != value).then_some(RejectReason::DuplicateTimestamp)
            }
            _ => self.one(series, t, value, window_end),
        };
        batch.iter().map(judge).collect()
    }

    fn one(&mut self, series: u8, t: i64, value: u8, window_end: i64) -> Option<RejectReason> {
        let min_valid = window_end.saturating_sub(RANGE / 2);
        let last = self.last.get(&series).copied();
        let all = self.series.entry(series).or_default();
        if t >= min_valid {
            match last {
                Some((newest, same)) if newest == t => {
                    return (same != value).then_some(RejectReason::DuplicateTimestamp);
                }
                Some((newest, _)) if newest > t => {}
                _ => {
                    all.insert(t, value);
                    self.last.insert(series, (t, value));
                    self.newest = self.newest.max(t);
                    return None;
                }
            }
        }
        if self.late == 0 {
            return Some(if t < min_valid { RejectReason::OutOfBounds } else { RejectReason::OutOfOrder });
        }
        if t < window_end.saturating_sub(self.late) {
            return Some(RejectReason::TooOld);
        }
        match all.get(&t) {
            Some(same) if *same == value => None,
            Some(_) => Some(RejectReason::DuplicateTimestamp),
            None => {
                all.insert(t, value);
                None
            }
        }
    }

    fn dump(&self) -> Vec<String> {
        let line = |(series, points): (&u8, &BTreeMap<i64, u8>)| {
            let points: Vec<String> = points.iter().map(|(t, v)| format!("{t}={v}")).collect();
            format!("{series}: {}", points.join(" "))
        };
        self.series.iter().filter(|(_, points)| !points.is_empty()).map(line).collect()
    }
}

fn run(late: i64, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { out_of_order_window_ms: late, block_range_ms: RANGE, ..options() };
    let mut store = open(dir.path(), options());
    let mut model = Model { late, series: BTreeMap::new(), last: BTreeMap::new(), newest: i64::MIN };
    let mut now = 10_000;
    for step in steps {
        match step {
            Step::Append(batch) => {
                let batch: Vec<_> = batch.into_iter().map(|(s, offset, v)| (s, now + offset, v)).collect();
                append(&store, &mut model, &batch)?;
            }
            Step::Advance(ms) => now += ms,
            Step::Delete(series, from, len) => {
                let (start, end) = (now + from, now + from + len);
                store.delete(&[Matcher::equal("i", series.to_string())], start, end).unwrap();
                if let Some(points) = model.series.get_mut(&series) {
                    points.retain(|t, _| !(start..=end).contains(t));
                }
            }
            Step::Maintain => drop(store.maintain().unwrap()),
            Step::Checkpoint => store.checkpoint().unwrap(),
            Step::Reopen => {
                drop(store);
                let report;
                (store, report) = open_report(dir.path(), options());
                prop_assert_eq!((report.torn_bytes, report.damaged.len(), report.orphan_samples), (0, 0, 0));
            }
        }
        prop_assert_eq!(dump(&store), model.dump());
    }
    Ok(())
}

fn append(store: &Store, model: &mut Model, batch: &[(u8, i64, u8)]) -> Result<(), TestCaseError> {
    let samples: Vec<Sample> = batch.iter().map(|&(s, t, v)| Sample::new(labels(s), t, f64::from(v))).collect();
    let got = store.append(&samples).unwrap();
    let expect = model.append(batch);
    let refused: Vec<_> = expect.into_iter().enumerate().filter_map(|(i, r)| Some((i, r?))).collect();
    prop_assert_eq!(got.accepted + got.duplicates + got.rejected.len(), batch.len());
    prop_assert_eq!(got.rejected, refused);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn equals_a_map_with_late_samples(steps in proptest::collection::vec(step(), 1..40)) {
        run(400, steps)?;
    }

    #[test]
    fn equals_a_map_with_a_wide_window(steps in proptest::collection::vec(step(), 1..40)) {
        run(900, steps)?;
    }

    #[test]
    fn equals_a_map_in_order_only(steps in proptest::collection::vec(step(), 1..40)) {
        run(0, steps)?;
    }
}
