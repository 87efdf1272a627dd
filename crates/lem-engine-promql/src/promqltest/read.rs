//! Test text to commands.

use regex::Regex;

use super::Failure;
use super::series::{Slot, parse_series};
use crate::labels::Labels;
use crate::number::{parse_duration_ms, parse_float};
use crate::value::{Sample, SeriesData, Value};

/// `load`: series with their samples.
pub(super) struct Load {
    pub(super) series: Vec<SeriesData>,
    pub(super) with_custom_buckets: bool,
}

/// When to evaluate.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Instant { time_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// The text an error or note must have.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Any,
    Exactly(String),
    Matches(Regex),
}

impl Text {
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => expected == text,
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

/// `eval`: a query and what is expected of it.
#[derive(Debug, Clone)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) when: When,
    pub(super) is_ordered: bool,
    fail: Option<Text>,
    warn: Vec<Text>,
    info: Vec<Text>,
    no_warn: bool,
    no_info: bool,
    pub(super) expected_text: Option<String>,
    pub(super) expected_scalar: Option<f64>,
    pub(super) range_vector: Option<(i64, i64, i64)>,
    pub(super) series: Vec<(Labels, Vec<Slot>)>,
}

pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

impl Eval {
    pub(super) fn must_fail(&self) -> bool {
        self.fail.is_some()
    }

    pub(super) fn check_failure(&self, error: &str) -> Result<(), String> {
        match &self.fail {
            Some(text) if !text.holds(error) => Err(format!("expected an error like {text:?}, got: {error}")),
            _ => Ok(()),
        }
    }

    pub(super) fn check_notes(&self, warnings: &[String], infos: &[String]) -> Result<(), String> {
        if self.no_warn && !warnings.is_empty() {
            return Err(format!("expected no warning, got {warnings:?}"));
        }
        if self.no_info && !infos.is_empty() {
            return Err(format!("expected no info, got {infos:?}"));
        }
        for (kind, expected, actual) in [("warning", &self.warn, warnings), ("info", &self.info, infos)] {
            if expected.is_empty() {
                continue;
            }
            for text in expected {
                if !actual.iter().any(|a| text.holds(a)) {
                    return Err(format!("expected a {kind} like {text:?}, got {actual:?}"));
                }
            }
            if let Some(extra) = actual.iter().find(|a| !expected.iter().any(|t| t.holds(a))) {
                return Err(format!("unexpected {kind}: {extra}"));
            }
        }
        Ok(())
    }
}

/// Lines without surrounding space and comments.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect()
}

/// The commands of a text, in order; what cannot be read is a failure in its place.
pub(super) fn commands(text: &str) -> Vec<Result<Command, Failure>> {
    let lines = lines(text);
    let mut out = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.is_empty() {
            at += 1;
            continue;
        }
        let body = lines[at + 1..].iter().take_while(|l| !l.is_empty()).copied().collect::<Vec<_>>();
        let word = line.split_whitespace().next().unwrap_or("").to_lowercase();
        let (command, used) = if word == "clear" {
            (Ok(Command::Clear), 0)
        } else if word.starts_with("load") {
            let used = body.len();
            (read_load(line, &body).map(Command::Load), used)
        } else if word.starts_with("eval") {
            let (eval, used) = read_eval(line, &body, at + 1);
            (eval.map(|e| Command::Eval(Box::new(e))), used)
        } else {
            (Err(format!("invalid command {line:?}")), 0)
        };
        out.push(command.map_err(|message| Failure { line: at + 1, message }));
        at += 1 + used;
    }
    out
}

fn read_load(line: &str, body: &[&str]) -> Result<Load, String> {
    let (word, step) = line.split_once(char::is_whitespace).ok_or("load without step")?;
    let step_ms = parse_duration_ms(step.trim())?;
    let mut series = Vec::new();
    for line in body {
        let (labels, slots) = parse_series(line)?;
        let samples = slots
            .into_iter()
            .enumerate()
            .filter_map(|(i, slot)| {
                let t_ms = step_ms * i as i64;
                match slot {
                    Slot::Omitted => None,
                    Slot::Float(v) => Some(Sample::float(t_ms, v)),
                    Slot::Hist(h) => Some(Sample { t_ms, value: Value::Histogram(h) }),
                }
            })
            .collect();
        series.push(SeriesData { labels, samples });
    }
    Ok(Load { series, with_custom_buckets: word == "load_with_nhcb" })
}

fn read_head(line: &str, number: usize) -> Result<Eval, String> {
    let (word, rest) = line.split_once(char::is_whitespace).ok_or("eval without query")?;
    let (kind, rest) = rest.trim_start().split_once(char::is_whitespace).ok_or("eval without query")?;
    let rest = rest.trim_start();
    let mut eval = Eval {
        line: number,
        query: String::new(),
        when: When::Instant { time_ms: 0 },
        is_ordered: false,
        fail: None,
        warn: Vec::new(),
        info: Vec::new(),
        no_warn: false,
        no_info: false,
        expected_text: None,
        expected_scalar: None,
        range_vector: None,
        series: Vec::new(),
    };
    match word {
        "eval_ordered" => eval.is_ordered = true,
        "eval_fail" => eval.fail = Some(Text::Any),
        "eval_warn" => eval.warn.push(Text::Any),
        "eval_info" => eval.info.push(Text::Any),
        _ => {}
    }
    if kind == "instant" {
        let rest = match rest.strip_prefix("at ") {
            Some(rest) => {
                let rest = rest.trim_start();
                let (time, query) = rest.split_once(char::is_whitespace).ok_or("eval without query")?;
                eval.when = When::Instant { time_ms: parse_duration_ms(time)? };
                query
            }
            None => rest,
        };
        rest.trim().clone_into(&mut eval.query);
        return Ok(eval);
    }
    let mut words = rest.split_whitespace();
    let mut times = [0; 3];
    for (slot, name) in times.iter_mut().zip(["from", "to", "step"]) {
        if words.next() != Some(name) {
            return Err(format!("range evaluation without {name:?}"));
        }
        *slot = parse_duration_ms(words.next().unwrap_or(""))?;
    }
    let [start_ms, end_ms, step_ms] = times;
    eval.when = When::Range { start_ms, end_ms, step_ms };
    // The query is what follows the sixth word, spaces and all.
    let mut query = rest;
    for _ in 0..6 {
        query = query.trim_start().split_once(char::is_whitespace).map_or("", |(_, after)| after);
    }
    query.trim().clone_into(&mut eval.query);
    Ok(eval)
}

fn read_eval(line: &str, body: &[&str], number: usize) -> (Result<Eval, String>, usize) {
    let mut eval = match read_head(line, number) {
        Ok(eval) => eval,
        Err(message) => return (Err(message), body.len()),
    };
    for (i, line) in body.iter().enumerate() {
        match read_expectation(&mut eval, line) {
            Ok(true) => {}
            Ok(false) => return (Ok(eval), i + 1),
            Err(message) => return (Err(message), body.len()),
        }
    }
    (Ok(eval), body.len())
}

/// Reads one line below an `eval`; false when nothing more belongs to it.
fn read_expectation(eval: &mut Eval, line: &str) -> Result<bool, String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.fail = Some(Text::Exactly(message.trim().to_owned()));
        return Ok(false);
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        eval.fail = Some(Text::Matches(regex(pattern.trim())?));
        return Ok(false);
    }
    if let Some(range) = line.strip_prefix("expect range vector") {
        let words: Vec<&str> = range.split_whitespace().collect();
        let ["from", from, "to", to, "step", step] = words[..] else {
            return Err(format!("invalid range vector definition {line:?}"));
        };
        eval.range_vector = Some((parse_duration_ms(from)?, parse_duration_ms(to)?, parse_duration_ms(step)?));
        return Ok(true);
    }
    if let Some(literal) = line.strip_prefix("expect string") {
        let bytes = crate::lex::unquote(literal.trim())?;
        eval.expected_text = Some(String::from_utf8_lossy(&bytes).into_owned());
        return Ok(true);
    }
    if line.split_whitespace().next() == Some("expect") {
        expect(eval, line)?;
        return Ok(true);
    }
    if let Some(number) = parse_float(line) {
        eval.expected_scalar = Some(number);
        return Ok(false);
    }
    eval.series.push(parse_series(line)?);
    Ok(true)
}

fn expect(eval: &mut Eval, line: &str) -> Result<(), String> {
    let rest = line.trim_start_matches("expect").trim();
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    let text = if let Some(message) = rest.strip_prefix("msg:") {
        Text::Exactly(message.trim().to_owned())
    } else if let Some(pattern) = rest.strip_prefix("regex:") {
        Text::Matches(regex(pattern.trim())?)
    } else if rest.is_empty() {
        Text::Any
    } else {
        return Err(format!("invalid expect statement {line:?}"));
    };
    match kind {
        "fail" => eval.fail = Some(text),
        "warn" => eval.warn.push(text),
        "info" => eval.info.push(text),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.is_ordered = true,
        _ => return Err(format!("invalid expect statement {line:?}")),
    }
    Ok(())
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(&crate::labels::translate_re2(pattern)).map_err(|e| e.to_string())
}
