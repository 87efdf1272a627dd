//! A whole text at once.

use std::collections::BTreeMap;

use super::lines::{Entry, Lines, RawSample};
use super::{Exemplar, Format, Metadata, ParseError, TextSample};

/// Everything that a text says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// In the order of the text.
    pub samples: Vec<TextSample>,
    /// By family name.
    pub metadata: Vec<Metadata>,
}

/// Parses a text. One bad line makes the whole text bad: there is no such thing as part of a scrape.
pub fn parse(text: &str, format: Format) -> Result<Parsed, ParseError> {
    let mut samples = Vec::new();
    let mut families: BTreeMap<String, Metadata> = BTreeMap::new();
    let mut family = |name: &str, change: &dyn Fn(&mut Metadata)| {
        let new = || Metadata { name: name.to_owned(), ..Metadata::default() };
        change(families.entry(name.to_owned()).or_insert_with(new));
    };
    for entry in Lines::new(text, format) {
        match entry? {
            Entry::Type(name, kind) => family(&name, &|m| m.kind = kind),
            Entry::Help(name, help) => family(&name, &|m| m.help = help.to_string()),
            Entry::Unit(name, unit) => family(&name, &|m| m.unit = unit.to_owned()),
            Entry::Sample(raw) => samples.push(sample(&raw)?),
        }
    }
    Ok(Parsed { samples, metadata: families.into_values().collect() })
}

fn sample(raw: &RawSample<'_>) -> Result<TextSample, ParseError> {
    let exemplar = raw.exemplar.as_ref().map(|exemplar| {
        let labels = raw.exemplar_labels(exemplar)?;
        Ok(Exemplar { labels, value: exemplar.value, t_ms: exemplar.t_ms })
    });
    Ok(TextSample { labels: raw.labels()?, t_ms: raw.t_ms, value: raw.value, exemplar: exemplar.transpose()? })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::labels::Labels;
    use crate::text::{Family, Kind, write};
    use proptest::prelude::*;

    fn lines(text: &str, format: Format) -> Vec<String> {
        let show = |s: &TextSample| {
            let t = s.t_ms.map_or(String::new(), |t| format!(" @{t}"));
            let exemplar =
                s.exemplar.as_ref().map_or(String::new(), |e| format!(" # {} {} {:?}", e.labels, e.value, e.t_ms));
            format!("{} {}{t}{exemplar}", s.labels, s.value)
        };
        parse(text, format).unwrap().samples.iter().map(show).collect()
    }

    #[test]
    fn prometheus_text() {
        let check = |line: &str, expect: &str| {
            assert_eq!(lines(&format!("{line}\n"), Format::Prometheus), [expect], "{line}");
            assert_eq!(lines(line, Format::Prometheus), [expect], "{line} without newline");
        };
        check("up 1", "up 1");
        check("up{} 1", "up 1");
        check("up{a=\"b\"} 1 1700000000000", "up{a=\"b\"} 1 @1700000000000");
        check("  up\t{ a = \"b\" , }\t1.5e3  -7 ", "up{a=\"b\"} 1500 @-7");
        check("up{a=\"x\\\\y\\\"z\\nw\\q\"} 1", "up{a=\"x\\\\y\\\"z\\nw\\\\q\"} 1");
        check("up{a=\"}{ 2 #\"} +Inf", "up{a=\"}{ 2 #\"} inf");
        check("up{a=\"\"} NaN", "up NaN");
        check("{\"odd.name\",\"l.1\"=\"v\"} 1", "odd.name{l.1=\"v\"} 1");
        check("job:up:sum -Inf\r", "job:up:sum -inf");
        check("# any comment\n\nup 1", "up 1");
    }

    #[test]
    fn every_bad_line_is_named() {
        let check = |text: &str, expect: &str| {
            assert_eq!(parse(text, Format::Prometheus).unwrap_err().to_string(), expect);
        };
        check("up 1\nup x", "line 2: \"x\" is not a number: \"up x\"");
        check("up", "line 1: expected a value after the series: \"up\"");
        check("up 1 x", "line 1: \"x\" is not a timestamp: \"up 1 x\"");
        check("up 1 2 3", "line 1: unexpected \"3\" after the timestamp: \"up 1 2 3\"");
        check("up{a=\"b 1", "line 1: label value is not closed: \"up{a=\\\"b 1\"");
        check("up{a=\"b\" 1", "line 1: expected } after the labels: \"up{a=\\\"b\\\" 1\"");
        check("up{a=b} 1", "line 1: expected \" at the start of a label value: \"up{a=b}\"");
        check("up{1=\"b\"} 1", "line 1: expected a label name: \"up{1=\\\"b\\\"}\"");
        check("up{a=\"1\",a=\"2\"} 1", "line 1: label \"a\" is given twice: \"up{a=\\\"1\\\",a=\\\"2\\\"}\"");
        check("{a=\"1\"} 1", "line 1: metric name is missing: \"{a=\\\"1\\\"}\"");
        check("0up 1", "line 1: \"0up\" is not a metric name: \"0up\"");
        check("# TYPE up meter", "line 1: unknown metric type \"meter\": \"# TYPE up meter\"");
        let long = format!("up{{a=\"{}\"}} 1", "x".repeat(crate::text::MAX_LINE_BYTES));
        assert!(parse(&long, Format::Prometheus).unwrap_err().message.contains("at most 1048576"));
    }

    #[test]
    fn open_metrics_text() {
        let text = "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# HELP a_seconds Say \\\"hi\\\".\n\
            a_seconds_bucket{le=\"1\"} 4 1.5 # {trace_id=\"x # y\"} 0.5 1.25\n\
            a_seconds_bucket{le=\"+Inf\"} 5 # {} 3\n# EOF\n";
        let got = lines(text, Format::OpenMetrics);
        assert_eq!(
            got,
            [
                "a_seconds_bucket{le=\"1.0\"} 4 @1500 # {trace_id=\"x # y\"} 0.5 Some(1250)",
                "a_seconds_bucket{le=\"+Inf\"} 5 # {} 3 None",
            ]
        );
        let meta = &parse(text, Format::OpenMetrics).unwrap().metadata[0];
        assert_eq!((meta.kind, &*meta.unit, &*meta.help), (Kind::Histogram, "seconds", "Say \"hi\"."));
    }

    #[test]
    fn open_metrics_is_strict() {
        let check = |text: &str, expect: &str| {
            assert_eq!(parse(text, Format::OpenMetrics).unwrap_err().to_string(), expect);
        };
        check("up 1\n", "line 2: text does not end with # EOF: \"\"");
        check("# EOF\nup 1\n", "line 2: text after # EOF: \"up 1\"");
        check("up 1\n\n# EOF\n", "line 2: empty line: \"\"");
        check("up  1\n# EOF\n", "line 1: expected a value after the series: \"up  1\"");
        check("# note\n# EOF\n", "line 1: expected TYPE, HELP, UNIT or EOF after #: \"# note\"");
        check(
            "# UNIT up seconds\n# EOF\n",
            "line 1: unit \"seconds\" is not the end of the name: \"# UNIT up seconds\"",
        );
        let long = format!("up 1 # {{a=\"{}\"}} 1\n# EOF\n", "x".repeat(128));
        assert!(parse(&long, Format::OpenMetrics).unwrap_err().message.starts_with("exemplar has 129 characters"));
    }

    #[test]
    fn bounds_are_floats_where_the_type_says_so() {
        let text = "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"1000000\"} 1\n# TYPE b summary\n\
            b{quantile=\"0.50\"} 1\nb{le=\"1\"} 1\n# TYPE c gauge\nc{le=\"1\"} 1\n";
        assert_eq!(
            lines(text, Format::Prometheus),
            [
                "a_bucket{le=\"1.0\"} 1",
                "a_bucket{le=\"1e+06\"} 1",
                "b{quantile=\"0.5\"} 1",
                "b{le=\"1\"} 1",
                "c{le=\"1\"} 1",
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            rows in proptest::collection::vec(("[a-z_][a-z0-9_]{0,8}", any::<String>(), any::<f64>(), any::<Option<i64>>()), 0..20),
            help in any::<String>(),
            name in "[a-zA-Z_:][a-z.é]{0,6}",
        ) {
            let help = help.trim().to_owned();
            let metadata = Metadata { name: name.clone(), kind: Kind::Gauge, help, unit: String::new() };
            let samples: Vec<TextSample> = rows.into_iter().map(|(label, value, number, t_ms)| TextSample {
                labels: Labels::new([("__name__".to_owned(), name.clone()), (label, value)]).unwrap(),
                t_ms,
                value: number,
                exemplar: None,
            }).collect();
            let text = write(&[Family { metadata: metadata.clone(), samples: samples.clone() }]);
            let back = parse(&text, Format::Prometheus).unwrap();
            prop_assert_eq!(&back.metadata[0], &metadata);
            prop_assert_eq!(back.samples.len(), samples.len());
            for (a, b) in back.samples.iter().zip(&samples) {
                prop_assert_eq!((&a.labels, a.t_ms), (&b.labels, b.t_ms));
                prop_assert!(a.value.to_bits() == b.value.to_bits() || a.value.is_nan() && b.value.is_nan());
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), marks in "[a-z{}\"=,# \\\\\n0-9]{0,80}") {
            for format in [Format::Prometheus, Format::OpenMetrics] {
                let _ = parse(&text, format);
                let _ = parse(&marks, format);
            }
        }
    }
}
