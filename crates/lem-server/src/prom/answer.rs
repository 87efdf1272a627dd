//! Answers, written as Prometheus writes them: times in seconds with up to three decimals, numbers as strings.

use lem_engine_promql::histogram::FloatHistogram;
use lem_engine_promql::number::format_sample;
use lem_engine_promql::{Labels, QueryResult, QueryValue, Sample, SeriesData, Value};
use std::fmt::Write;

/// JSON as it grows; large matrices never exist twice.
pub(crate) struct Text(String);

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text serialises")
}

/// A whole answer around its data.
pub(crate) fn success(data: &str, warnings: &[String], infos: &[String]) -> String {
    let mut text = format!("{{\"status\":\"success\",\"data\":{data}");
    for (name, notes) in [("warnings", warnings), ("infos", infos)] {
        if !notes.is_empty() {
            let notes = serde_json::to_string(notes).expect("texts serialise");
            let _ = write!(text, ",\"{name}\":{notes}");
        }
    }
    text.push('}');
    text
}

/// Data of a query, at most `limit` series of it; the second is whether some were left out.
pub(crate) fn data(result: &QueryResult, limit: Option<usize>) -> (String, bool) {
    let mut text = Text(String::new());
    let most = limit.unwrap_or(usize::MAX);
    let left_out = match &result.value {
        QueryValue::Scalar(at, value) => {
            text.open("scalar");
            text.point(*at, &format_sample(*value));
            false
        }
        QueryValue::String(at, value) => {
            text.open("string");
            text.point(*at, value);
            false
        }
        QueryValue::Vector(samples) => {
            text.open("vector");
            text.list(samples.iter().take(most), |text, one| text.element(&one.labels, &one.sample));
            samples.len() > most
        }
        QueryValue::Matrix(series) => {
            text.open("matrix");
            text.list(series.iter().take(most), |text, one| text.series(one));
            series.len() > most
        }
    };
    text.0.push('}');
    (text.0, left_out)
}

/// Label sets as a list.
pub(crate) fn label_sets(sets: &[Labels]) -> String {
    let mut text = Text(String::new());
    text.list(sets.iter(), |text, labels| text.labels(labels));
    text.0
}

impl Text {
    fn open(&mut self, kind: &str) {
        let _ = write!(self.0, "{{\"resultType\":\"{kind}\",\"result\":");
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.0.push('[');
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.0.push(',');
            }
            each(self, item);
        }
        self.0.push(']');
    }

    fn labels(&mut self, labels: &Labels) {
        self.0.push('{');
        for (i, (name, value)) in labels.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(self.0, "{comma}{}:{}", quoted(name), quoted(value));
        }
        self.0.push('}');
    }

    fn time(&mut self, ms: i64) {
        let sign = if ms < 0 { "-" } else { "" };
        let (seconds, rest) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
        let _ = write!(self.0, "{sign}{seconds}");
        if rest > 0 {
            let _ = write!(self.0, ".{rest:03}");
        }
    }

    fn point(&mut self, ms: i64, value: &str) {
        self.0.push('[');
        self.time(ms);
        let _ = write!(self.0, ",{}]", quoted(value));
    }

    fn histogram_point(&mut self, ms: i64, histogram: &FloatHistogram) {
        self.0.push('[');
        self.time(ms);
        let (count, sum) = (format_sample(histogram.count), format_sample(histogram.sum));
        let _ = write!(self.0, ",{{\"count\":\"{count}\",\"sum\":\"{sum}\"");
        let buckets: Vec<_> = histogram.all_buckets().into_iter().filter(|b| b.count != 0.0).collect();
        if !buckets.is_empty() {
            self.0.push_str(",\"buckets\":");
            self.list(buckets.iter(), |text, bucket| {
                // 0 is open on the left, 1 on the right, 2 on both sides, 3 on none.
                let ends = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                    (false, true) => 0,
                    (true, false) => 1,
                    (false, false) => 2,
                    (true, true) => 3,
                };
                let (lower, upper) = (format_sample(bucket.lower), format_sample(bucket.upper));
                let count = format_sample(bucket.count);
                let _ = write!(text.0, "[{ends},\"{lower}\",\"{upper}\",\"{count}\"]");
            });
        }
        self.0.push_str("}]");
    }

    fn element(&mut self, labels: &Labels, sample: &Sample) {
        self.0.push_str("{\"metric\":");
        self.labels(labels);
        match &sample.value {
            Value::Float(value) => {
                self.0.push_str(",\"value\":");
                self.point(sample.t_ms, &format_sample(*value));
            }
            Value::Histogram(histogram) => {
                self.0.push_str(",\"histogram\":");
                self.histogram_point(sample.t_ms, histogram);
            }
        }
        self.0.push('}');
    }

    fn series(&mut self, series: &SeriesData) {
        self.0.push_str("{\"metric\":");
        self.labels(&series.labels);
        let floats = series.samples.iter().filter_map(|s| match &s.value {
            Value::Float(value) => Some((s.t_ms, *value)),
            Value::Histogram(_) => None,
        });
        let histograms = series.samples.iter().filter_map(|s| match &s.value {
            Value::Histogram(histogram) => Some((s.t_ms, histogram)),
            Value::Float(_) => None,
        });
        if floats.clone().next().is_some() {
            self.0.push_str(",\"values\":");
            self.list(floats, |text, (ms, value)| text.point(ms, &format_sample(value)));
        }
        if histograms.clone().next().is_some() {
            self.0.push_str(",\"histograms\":");
            self.list(histograms, |text, (ms, histogram)| text.histogram_point(ms, histogram));
        }
        self.0.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(value: QueryValue) -> QueryResult {
        QueryResult { value, warnings: vec![], infos: vec![] }
    }

    #[test]
    fn times_and_numbers_are_written_as_the_reference_writes_them() {
        for (ms, value, expect) in [
            (1_435_781_451_781, 1.0, r#"[1435781451.781,"1"]"#),
            (1_435_781_451_000, f64::NAN, r#"[1435781451,"NaN"]"#),
            (1_435_781_451_010, f64::INFINITY, r#"[1435781451.010,"+Inf"]"#),
            (0, 1e-7, r#"[0,"1e-07"]"#),
            (-1500, -0.0, r#"[-1.500,"-0"]"#),
        ] {
            let (data, _) = data(&result(QueryValue::Scalar(ms, value)), None);
            assert_eq!(data, format!(r#"{{"resultType":"scalar","result":{expect}}}"#));
        }
    }

    #[test]
    fn a_limit_leaves_out_and_says_so() {
        let one = |name: &str| SeriesData {
            labels: Labels::from_pairs([("a", name)]),
            samples: vec![Sample::float(1000, 2.5)],
        };
        let (data, left_out) = data(&result(QueryValue::Matrix(vec![one("x\"y"), one("z")])), Some(1));
        let expect = r#"{"resultType":"matrix","result":[{"metric":{"a":"x\"y"},"values":[[1,"2.5"]]}]}"#;
        assert_eq!((data.as_str(), left_out), (expect, true));
    }

    #[test]
    fn notes_stand_beside_the_data() {
        assert_eq!(success("[]", &[], &[]), r#"{"status":"success","data":[]}"#);
        let noted = success("[]", &["w".into()], &["i".into()]);
        assert_eq!(noted, r#"{"status":"success","data":[],"warnings":["w"],"infos":["i"]}"#);
    }
}
