//! The `histogram_*` functions, over native and classic histograms.

use std::collections::HashMap;

use super::classic::{ClassicBucket, bucket_fraction, bucket_quantile};
use super::label_fn::{is_valid_label_name, text_arg};
use super::{Column, Eval, Evaluator, Grid, Val, merge_same_labels};
use crate::annotations::{Forced, Note};
use crate::ast::{Call, Span};
use crate::error::QueryError;
use crate::histogram::{FloatHistogram, NanNote, histogram_fraction, histogram_quantile};
use crate::labels::{BUCKET_LABEL, Labels};
use crate::number::{format_open_metrics, is_stale, kahan_inc, parse_float};

/// The buckets of one classic histogram: their bounds and columns.
struct Classic {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, usize)>,
}

/// A vector taken apart into native histograms and classic ones.
struct Histograms {
    columns: Vec<Column>,
    classic: Vec<Classic>,
    /// Classic histogram that shares a native column's labels.
    conflicts: HashMap<usize, usize>,
}

fn simple(name: &str) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match name {
        "histogram_count" => |h| h.count,
        "histogram_sum" => |h| h.sum,
        "histogram_avg" => |h| h.sum / h.count,
        "histogram_stdvar" => variance,
        "histogram_stddev" => |h| variance(h).sqrt(),
        _ => return None,
    })
}

fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let (mut sum, mut c) = (0.0, 0.0);
    for bucket in h.all_buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        let value = if h.is_custom() {
            f64::midpoint(bucket.upper, bucket.lower)
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let mean = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -mean } else { mean }
        };
        let delta = value - mean;
        (sum, c) = kahan_inc(bucket.count * delta * delta, sum, c);
    }
    (sum + c) / h.count
}

impl Evaluator<'_> {
    pub(super) fn histogram_call(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        if let Some(f) = simple(call.func) {
            return self.simple_histogram(call, grid, f);
        }
        match call.func {
            "histogram_quantile" => self.one_quantile(call, grid),
            "histogram_quantiles" => self.many_quantiles(call, grid),
            "histogram_fraction" => self.fraction(call, grid),
            name => Err(QueryError::execution(format!("function {name} is not implemented"))),
        }
    }

    fn simple_histogram(&mut self, call: &Call, grid: Grid, f: fn(&FloatHistogram) -> f64) -> Eval<Val> {
        let mut out = Vec::new();
        for column in self.vector(&call.args[0], grid)? {
            let Some(hists) = &column.hists else {
                continue;
            };
            let mut result = Column::empty(column.labels.clone(), grid.n);
            result.drop_name = column.drop_name;
            self.drop_name(&mut result);
            for (i, h) in hists.iter().enumerate() {
                if let Some(h) = h {
                    result.floats[i] = f(h);
                }
            }
            if !result.is_empty() {
                out.push(result);
            }
        }
        Ok(Val::Vector(merge_same_labels(out)?))
    }

    /// Takes a vector apart; `span` is where notes about it point to.
    fn take_apart(&mut self, columns: Vec<Column>, span: Span) -> Histograms {
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut classic: Vec<Classic> = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            if column.floats.iter().all(|v| is_stale(*v)) {
                continue;
            }
            let le = column.labels.get(BUCKET_LABEL);
            let Some(upper) = parse_float(le) else {
                let note =
                    Note::BadBucketLabel { metric: column.labels.metric_name().to_owned(), value: le.to_owned() };
                self.note(note, span);
                continue;
            };
            let labels = column.labels.filter(|n| n != BUCKET_LABEL);
            let at = *index.entry(labels.clone()).or_insert_with(|| {
                classic.push(Classic { labels, drop_name: column.drop_name, buckets: Vec::new() });
                classic.len() - 1
            });
            classic[at].buckets.push((upper, i));
        }
        let mut conflicts = HashMap::new();
        for (i, column) in columns.iter().enumerate() {
            if column.hists.is_none() {
                continue;
            }
            let labels = column.labels.filter(|n| n != BUCKET_LABEL);
            if let Some(at) = index.get(&labels) {
                conflicts.insert(i, *at);
            }
        }
        Histograms { columns, classic, conflicts }
    }

    /// Works out one number per histogram and step.
    fn over_histograms(
        &mut self,
        all: &Histograms,
        grid: Grid,
        spans: [Span; 2],
        mut native: impl FnMut(usize, &FloatHistogram) -> (f64, Option<NanNote>),
        mut classic: impl FnMut(usize, Vec<ClassicBucket>) -> (f64, Option<super::classic::ForcedMonotonic>),
    ) -> Vec<Column> {
        let [native_span, vector_span] = spans;
        let mut out = Vec::new();
        let mut blocked: Vec<(usize, usize)> = Vec::new();
        for (c, column) in all.columns.iter().enumerate() {
            let Some(hists) = &column.hists else {
                continue;
            };
            let mut result = Column::empty(column.labels.clone(), grid.n);
            result.drop_name = column.drop_name;
            self.drop_name(&mut result);
            for (i, h) in hists.iter().enumerate() {
                let Some(h) = h else { continue };
                if let Some(&at) = all.conflicts.get(&c) {
                    let present = |(_, b): &(f64, usize)| !is_stale(all.columns[*b].floats[i]);
                    if all.classic[at].buckets.iter().any(present) {
                        let metric = column.labels.metric_name().to_owned();
                        self.note(Note::MixedClassicNative { metric }, vector_span);
                        blocked.push((at, i));
                        continue;
                    }
                }
                let (value, nan) = native(i, h);
                if let Some(nan) = nan {
                    let metric = column.labels.metric_name().to_owned();
                    let note = match nan {
                        NanNote::Result => Note::QuantileNanResult { metric },
                        NanNote::Skewed => Note::QuantileNanSkew { metric },
                        NanNote::Excluded => Note::FractionNans { metric },
                    };
                    self.note(note, native_span);
                }
                result.floats[i] = value;
            }
            if !result.is_empty() {
                out.push(result);
            }
        }
        for (c, histogram) in all.classic.iter().enumerate() {
            let mut result = Column::empty(histogram.labels.clone(), grid.n);
            result.drop_name = histogram.drop_name;
            self.drop_name(&mut result);
            for i in 0..grid.n {
                let buckets: Vec<ClassicBucket> = histogram
                    .buckets
                    .iter()
                    .filter(|(_, b)| !is_stale(all.columns[*b].floats[i]))
                    .map(|(upper, b)| ClassicBucket { upper: *upper, count: all.columns[*b].floats[i] })
                    .collect();
                if buckets.is_empty() || blocked.contains(&(c, i)) {
                    continue;
                }
                let (value, forced) = classic(i, buckets);
                if let Some(forced) = forced {
                    let note = Note::ForcedMonotonic(Forced {
                        metric: if self.options.delayed_name_removal {
                            histogram.labels.metric_name().to_owned()
                        } else {
                            String::new()
                        },
                        t_min: grid.at(i),
                        t_max: grid.at(i),
                        bucket_min: forced.bucket_min,
                        bucket_max: forced.bucket_max,
                        max_diff: forced.max_diff,
                        samples: 1,
                    });
                    self.note(note, vector_span);
                }
                result.floats[i] = value;
            }
            if !result.is_empty() {
                out.push(result);
            }
        }
        out
    }

    fn check_quantile(&mut self, values: &[f64], span: Span) {
        for q in values {
            if q.is_nan() || !(0.0..=1.0).contains(q) {
                self.note(Note::InvalidQuantile(*q), span);
            }
        }
    }

    fn one_quantile(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let q = self.scalar(&call.args[0], grid)?;
        let columns = self.vector(&call.args[1], grid)?;
        let spans = [call.args[0].span(), call.args[1].span()];
        self.check_quantile(&q, spans[0]);
        let all = self.take_apart(columns, spans[1]);
        let out = self.over_histograms(
            &all,
            grid,
            spans,
            |i, h| histogram_quantile(q[i], h),
            |i, b| bucket_quantile(q[i], b),
        );
        Ok(Val::Vector(merge_same_labels(out)?))
    }

    fn many_quantiles(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let columns = self.vector(&call.args[0], grid)?;
        let label = text_arg(call, 1)?.clone();
        if !is_valid_label_name(&label) {
            return Err(QueryError::execution(format!("invalid label name {}", crate::number::quote(&label.value))));
        }
        let span = call.args[0].span();
        let mut quantiles = Vec::new();
        for arg in &call.args[2..] {
            let q = self.scalar(arg, grid)?;
            self.check_quantile(&q, arg.span());
            quantiles.push(q);
        }
        let all = self.take_apart(columns, span);
        let mut out = Vec::new();
        for q in quantiles {
            let results = self.over_histograms(
                &all,
                grid,
                [span, span],
                |i, h| histogram_quantile(q[i], h),
                |i, b| bucket_quantile(q[i], b),
            );
            for column in results {
                split_by_quantile(&column, &label.value, &q, &mut out);
            }
        }
        Ok(Val::Vector(merge_same_labels(out)?))
    }

    fn fraction(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let lower = self.scalar(&call.args[0], grid)?;
        let upper = self.scalar(&call.args[1], grid)?;
        let columns = self.vector(&call.args[2], grid)?;
        let spans = [call.args[0].span(), call.args[2].span()];
        let all = self.take_apart(columns, spans[1]);
        let out = self.over_histograms(
            &all,
            grid,
            spans,
            |i, h| histogram_fraction(lower[i], upper[i], h),
            |i, b| (bucket_fraction(lower[i], upper[i], b), None),
        );
        Ok(Val::Vector(merge_same_labels(out)?))
    }
}

/// A quantile that changes over the steps yields a series for each of its values.
fn split_by_quantile(column: &Column, label: &str, q: &[f64], out: &mut Vec<Column>) {
    let mut names: Vec<String> = q.iter().map(|q| format_open_metrics(*q)).collect();
    let per_step = names.clone();
    names.sort();
    names.dedup();
    for name in names {
        let mut part = Column::empty(column.labels.with(label, &name), column.floats.len());
        part.drop_name = column.drop_name;
        for (i, at_step) in per_step.iter().enumerate() {
            if *at_step == name {
                part.floats[i] = column.floats[i];
            }
        }
        if !part.is_empty() {
            out.push(part);
        }
    }
}
