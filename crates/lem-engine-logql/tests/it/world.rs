//! A small source in memory.

use std::ops::ControlFlow;
use std::sync::Arc;

use lem_engine_logql::ast::MatchOp;
use lem_engine_logql::*;
use lem_engine_logs::Direction;

pub(crate) const S: i64 = 1_000_000_000;

/// Lines by time, labels, line, metadata.
pub(crate) struct World(pub(crate) Vec<(i64, Arc<LabelSet>, Vec<u8>, Vec<(String, String)>)>);

impl World {
    /// Lines as `(second, "a=b,c=d", line)`.
    pub(crate) fn new(lines: &[(i64, &str, &str)]) -> Self {
        Self(
            lines.iter().map(|(at, l, line)| (at * S, Arc::new(labels(l)), line.as_bytes().to_vec(), vec![])).collect(),
        )
    }
}

pub(crate) fn labels(text: &str) -> LabelSet {
    text.split(',').filter_map(|p| p.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

impl LogSource for World {
    fn scan(
        &self,
        request: &SourceRequest,
        found: &mut dyn FnMut(LineFound<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<String>, SourceError> {
        let mut lines: Vec<_> = self.0.iter().filter(|l| request.start_ns <= l.0 && l.0 < request.end_ns).collect();
        lines.sort_by_key(|l| l.0);
        if request.direction == Direction::Backward {
            lines.reverse();
        }
        for (ts_ns, labels, line, metadata) in lines {
            let wanted = request.selector.iter().all(|s| {
                let value = labels.get(&s.name).map_or("", String::as_str);
                let matched = || regex::Regex::new(&format!("^(?:{})$", s.value)).unwrap().is_match(value);
                match s.op {
                    MatchOp::Equal => value == s.value,
                    MatchOp::NotEqual => value != s.value,
                    MatchOp::Regex => matched(),
                    MatchOp::NotRegex => !matched(),
                }
            });
            // Literals are for pruning only: a line the pipeline keeps has to have them.
            if wanted && found(LineFound { ts_ns: *ts_ns, labels, line, metadata }).is_break() {
                break;
            }
        }
        Ok(vec![])
    }
}

fn label_text(labels: &LabelSet) -> String {
    labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(",")
}

/// Answers of a log query over everything, one text per line, oldest first.
pub(crate) fn lines(world: &World, query: &str) -> Vec<String> {
    let params = RangeParams { direction: Direction::Forward, limit: 1000, ..RangeParams::new(0, 1_000_000 * S, S) };
    let result =
        Evaluator::new(world).range(&parse(query).unwrap_or_else(|e| panic!("{query}: {e}")), &params).unwrap();
    let Value::Streams(streams) = result.value else { panic!("no streams") };
    let mut out: Vec<(i64, String)> = Vec::new();
    for stream in streams {
        let labels = label_text(&stream.labels);
        out.extend(stream.entries.iter().map(|e| (e.ts_ns, format!("{labels} {}", String::from_utf8_lossy(&e.line)))));
    }
    out.sort_by_key(|(ts, _)| *ts);
    out.into_iter().map(|(_, text)| text).collect()
}

/// Answer of a metric query at a second.
pub(crate) fn instant(world: &World, query: &str, at: i64) -> Result<Vec<String>, String> {
    let expr = parse(query).map_err(|e| e.to_string())?;
    let result = Evaluator::new(world).instant(&expr, at * S).map_err(|e| e.to_string())?;
    Ok(match result.value {
        Value::Scalar { value, .. } => vec![format!("scalar {value}")],
        Value::Vector(samples) => {
            samples.iter().map(|s| format!("{{{}}} {}", label_text(&s.labels), s.value)).collect()
        }
        Value::Streams(_) | Value::Matrix(_) => panic!("not an instant answer"),
    })
}
