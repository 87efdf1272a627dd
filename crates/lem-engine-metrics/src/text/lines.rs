//! One entry per line, without building label sets: a caller that keeps a ref for each series text need not read a
//! repeated line's labels again.

use std::borrow::Cow;

use super::number::{parse_seconds, parse_value};
use super::{Format, Kind, MAX_EXEMPLAR_CHARS, MAX_LINE_BYTES, ParseError};
use crate::labels::{Labels, METRIC_NAME};

/// What one line says. Comments and empty lines of the Prometheus format say nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// `# TYPE name kind`
    Type(Cow<'a, str>, Kind),
    /// `# HELP name text`, unescaped
    Help(Cow<'a, str>, Cow<'a, str>),
    /// `# UNIT name unit`
    Unit(Cow<'a, str>, &'a str),
    /// A sample.
    Sample(RawSample<'a>),
}

/// A sample whose series is still text.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSample<'a> {
    /// Name and labels as written, the key for a cache of series. Valid together with `kind`.
    pub series: &'a str,
    /// The kind that the last `# TYPE` said: decides which labels hold numbers.
    pub kind: Kind,
    /// Any NaN is the ordinary one.
    pub value: f64,
    /// Absent when the text leaves it to the time of the scrape.
    pub t_ms: Option<i64>,
    /// OpenMetrics only.
    pub exemplar: Option<RawExemplar<'a>>,
    line: usize,
    format: Format,
}

/// An exemplar whose labels are still text.
#[derive(Debug, Clone, PartialEq)]
pub struct RawExemplar<'a> {
    labels: &'a str,
    /// The observed value.
    pub value: f64,
    /// When it was observed.
    pub t_ms: Option<i64>,
}

/// Iterates over the entries of a text. Ends after the first error.
#[derive(Debug)]
pub struct Lines<'a> {
    rest: &'a str,
    format: Format,
    line: usize,
    kind: Kind,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// `# EOF` was there.
    Ended,
    /// After an error, or after the end was checked.
    Over,
}

type Fail = Cow<'static, str>;

impl<'a> Lines<'a> {
    /// Starts at the first line.
    pub fn new(text: &'a str, format: Format) -> Lines<'a> {
        Lines { rest: text, format, line: 0, kind: Kind::Unknown, state: State::Reading }
    }

    fn entry(&mut self, line: &'a str) -> Result<Option<Entry<'a>>, Fail> {
        if line.len() > MAX_LINE_BYTES {
            return Err(format!("line has {} bytes, at most {MAX_LINE_BYTES} are allowed", line.len()).into());
        }
        if self.state == State::Ended {
            return Err("text after # EOF".into());
        }
        match self.format {
            Format::Prometheus => {
                let line = line.trim_matches([' ', '\t', '\r']);
                match line.strip_prefix('#') {
                    _ if line.is_empty() => Ok(None),
                    Some(comment) => self.comment(comment.trim_start_matches([' ', '\t'])),
                    None => self.sample(line).map(Some),
                }
            }
            Format::OpenMetrics if line == "# EOF" => {
                self.state = State::Ended;
                Ok(None)
            }
            Format::OpenMetrics => match line.strip_prefix("# ") {
                _ if line.is_empty() => Err("empty line".into()),
                Some(descriptor) => match self.comment(descriptor)? {
                    Some(entry) => Ok(Some(entry)),
                    None => Err("expected TYPE, HELP, UNIT or EOF after #".into()),
                },
                None => self.sample(line).map(Some),
            },
        }
    }

    fn comment(&mut self, text: &'a str) -> Result<Option<Entry<'a>>, Fail> {
        let Some((keyword, rest)) = text.split_once([' ', '\t']) else {
            return Ok(None);
        };
        match keyword {
            "TYPE" => {
                let (name, rest) = family_name(rest)?;
                let word = rest.trim_matches(self.blanks());
                self.kind = Kind::parse(word).ok_or_else(|| format!("unknown metric type {word:?}"))?;
                Ok(Some(Entry::Type(name, self.kind)))
            }
            "HELP" => {
                let (name, rest) = family_name(rest)?;
                let text = rest.strip_prefix([' ', '\t']).unwrap_or(rest);
                Ok(Some(Entry::Help(name, unescape(text, self.help_escapes()))))
            }
            "UNIT" if self.format == Format::OpenMetrics => {
                let (name, rest) = family_name(rest)?;
                let unit = rest.trim_matches(' ');
                if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
                    return Err(format!("unit {unit:?} is not the end of the name").into());
                }
                Ok(Some(Entry::Unit(name, unit)))
            }
            _ => Ok(None),
        }
    }

    fn blanks(&self) -> &'static [char] {
        match self.format {
            Format::Prometheus => &[' ', '\t'],
            Format::OpenMetrics => &[' '],
        }
    }

    fn help_escapes(&self) -> &'static str {
        match self.format {
            Format::Prometheus => "\\n",
            Format::OpenMetrics => "\\n\"",
        }
    }

    fn sample(&self, line: &'a str) -> Result<Entry<'a>, Fail> {
        let (series, rest) = line.split_at(series_end(line)?);
        let (rest, exemplar) = match self.format {
            Format::Prometheus => (rest, None),
            Format::OpenMetrics => match rest.split_once(" # ") {
                Some((rest, exemplar)) => (rest, Some(raw_exemplar(exemplar)?)),
                None => (rest, None),
            },
        };
        let (value, t) = self.value_and_time(rest)?;
        let value = parse_value(value).ok_or_else(|| format!("{value:?} is not a number"))?;
        let t_ms = t.map(|t| self.time(t)).transpose()?;
        let (kind, line, format) = (self.kind, self.line, self.format);
        Ok(Entry::Sample(RawSample { series: series.trim_end(), kind, value, t_ms, exemplar, line, format }))
    }

    fn time(&self, text: &str) -> Result<i64, Fail> {
        let parsed = match self.format {
            Format::Prometheus => text.parse().ok(),
            Format::OpenMetrics => parse_seconds(text),
        };
        parsed.ok_or_else(|| format!("{text:?} is not a timestamp").into())
    }

    /// The words behind the series: one or two. OpenMetrics wants exactly one space before each.
    fn value_and_time<'t>(&self, rest: &'t str) -> Result<(&'t str, Option<&'t str>), Fail> {
        let mut words = match self.format {
            Format::Prometheus => rest.split(self.blanks()).filter(|w| !w.is_empty()).collect::<Vec<_>>(),
            Format::OpenMetrics => rest.strip_prefix(' ').unwrap_or("").split(' ').collect(),
        }
        .into_iter();
        let value = words.next().filter(|w| !w.is_empty()).ok_or("expected a value after the series")?;
        let t = words.next();
        match words.next() {
            Some(word) => Err(format!("unexpected {word:?} after the timestamp").into()),
            None => Ok((value, t)),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.state == State::Over {
                return None;
            }
            if self.rest.is_empty() {
                let missing = self.format == Format::OpenMetrics && self.state == State::Reading;
                self.state = State::Over;
                self.line += 1;
                return missing.then(|| Err(error(self.line, "text does not end with # EOF", "")));
            }
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            match self.entry(line) {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(message) => {
                    self.state = State::Over;
                    return Some(Err(error(self.line, message, line)));
                }
            }
        }
    }
}

/// Characters of a bad line that are shown.
const SHOWN: usize = 200;

fn error(line: usize, message: impl Into<String>, text: &str) -> ParseError {
    ParseError { line, message: message.into(), text: text.chars().take(SHOWN).collect() }
}

impl RawSample<'_> {
    /// The series' labels, with `le` and `quantile` in float form where they are numbers by the family's kind.
    pub fn labels(&self) -> Result<Labels, ParseError> {
        let fail = |message: Fail| error(self.line, message, self.series);
        let mut pairs = series_labels(self.series, self.format).map_err(fail)?;
        let number = match self.kind {
            Kind::Histogram | Kind::GaugeHistogram => "le",
            Kind::Summary => "quantile",
            _ => "",
        };
        for (_, value) in pairs.iter_mut().filter(|(name, _)| name == number) {
            if let Some(float) = parse_value(value) {
                *value = Cow::Owned(super::format_label_float(float));
            }
        }
        labels(pairs).map_err(fail)
    }

    pub(super) fn exemplar_labels(&self, exemplar: &RawExemplar<'_>) -> Result<Labels, ParseError> {
        let fail = |message: Fail| error(self.line, message, exemplar.labels);
        let (pairs, _) = label_list(exemplar.labels, self.format).map_err(fail)?;
        let labels = labels(pairs).map_err(fail)?;
        let chars: usize = labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > MAX_EXEMPLAR_CHARS {
            return Err(fail(
                format!("exemplar has {chars} characters, at most {MAX_EXEMPLAR_CHARS} are allowed").into(),
            ));
        }
        Ok(labels)
    }
}

fn labels(pairs: Pairs<'_>) -> Result<Labels, Fail> {
    let owned = pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned()));
    Labels::new(owned).map_err(|error| error.to_string().into())
}

/// `{labels} value [timestamp]`
fn raw_exemplar(text: &str) -> Result<RawExemplar<'_>, Fail> {
    if !text.starts_with('{') {
        return Err("expected { at the start of the exemplar".into());
    }
    let (labels, rest) = text.split_at(series_end(text)?);
    let mut words = rest.trim_start_matches(' ').split(' ');
    let value = words.next().unwrap_or_default();
    let value = parse_value(value).ok_or_else(|| format!("exemplar value {value:?} is not a number"))?;
    let t_ms = words.next().map(|t| parse_seconds(t).ok_or_else(|| format!("{t:?} is not a timestamp"))).transpose()?;
    match words.next() {
        Some(word) => Err(format!("unexpected {word:?} after the exemplar").into()),
        None => Ok(RawExemplar { labels, value, t_ms }),
    }
}

/// Where the series ends: behind the closing brace, or at the first blank when there are no braces.
fn series_end(line: &str) -> Result<usize, Fail> {
    let bytes = line.as_bytes();
    let name = bytes.iter().position(|b| matches!(b, b'{' | b' ' | b'\t')).unwrap_or(bytes.len());
    let open = bytes[name..].iter().position(|b| !matches!(b, b' ' | b'\t')).map(|skip| name + skip);
    let Some(open) = open.filter(|at| bytes[*at] == b'{') else {
        return Ok(name);
    };
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate().skip(open + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Ok(at + 1),
            _ => {}
        }
    }
    Err(if quoted { "label value is not closed" } else { "expected } after the labels" }.into())
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

fn series_labels(series: &str, format: Format) -> Result<Pairs<'_>, Fail> {
    let brace = series.find('{').unwrap_or(series.len());
    let (name, braces) = series.split_at(brace);
    let name = name.trim_end_matches([' ', '\t']);
    let (mut pairs, quoted_name) = if braces.is_empty() { (Vec::new(), None) } else { label_list(braces, format)? };
    let name = match (name, quoted_name) {
        ("", Some(quoted)) => quoted,
        ("", None) => return Err("metric name is missing".into()),
        (_, Some(_)) => return Err("metric name is given twice".into()),
        (name, None) if is_metric_name(name) => Cow::Borrowed(name),
        (name, None) => return Err(format!("{name:?} is not a metric name").into()),
    };
    if pairs.iter().any(|(n, _)| n == METRIC_NAME) {
        return Err("label \"__name__\" is given twice".into());
    }
    pairs.push((Cow::Borrowed(METRIC_NAME), name));
    Ok(pairs)
}

/// `{name="value","quoted name"="value","metric name"}`: labels, and the metric name if it is among them.
fn label_list(braces: &str, format: Format) -> Result<(Pairs<'_>, Option<Cow<'_, str>>), Fail> {
    let body = braces.strip_prefix('{').and_then(|b| b.strip_suffix('}')).ok_or("expected } after the labels")?;
    let mut pairs = Vec::new();
    let mut metric = None;
    let mut rest = body.trim_start_matches([' ', '\t']);
    while !rest.is_empty() {
        let (name, quoted, after) = label_name(rest)?;
        rest = after.trim_start_matches([' ', '\t']);
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = quoted_text(after.trim_start_matches([' ', '\t']))?;
            pairs.push((name, value));
            rest = after.trim_start_matches([' ', '\t']);
        } else if quoted && metric.is_none() {
            metric = Some(name);
        } else {
            return Err(format!("expected = after label {name:?}").into());
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start_matches([' ', '\t']),
            None if rest.is_empty() => break,
            None => return Err("expected , or } after a label".into()),
        }
        if rest.is_empty() && format == Format::OpenMetrics {
            return Err("expected a label after the last comma".into());
        }
    }
    Ok((pairs, metric))
}

/// Name, whether it was quoted, and what follows.
fn label_name(rest: &str) -> Result<(Cow<'_, str>, bool, &str), Fail> {
    if rest.starts_with('"') {
        let (name, after) = quoted_text(rest)?;
        return Ok((name, true, after));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    if end == 0 || rest.as_bytes()[0].is_ascii_digit() {
        return Err("expected a label name".into());
    }
    Ok((Cow::Borrowed(&rest[..end]), false, &rest[end..]))
}

fn quoted_text(rest: &str) -> Result<(Cow<'_, str>, &str), Fail> {
    let body = rest.strip_prefix('"').ok_or("expected \" at the start of a label value")?;
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok((unescape(&body[..at], "\\n\""), &body[at + 1..])),
            _ => {}
        }
    }
    Err("label value is not closed".into())
}

/// Replaces the escapes that are known; as upstream does, any other backslash stays.
fn unescape<'a>(text: &'a str, known: &str) -> Cow<'a, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let next = chars.as_str().chars().next().filter(|next| c == '\\' && known.contains(*next));
        match next {
            Some(next) => {
                chars.next();
                out.push(if next == 'n' { '\n' } else { next });
            }
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The family's name behind `TYPE`, `HELP` or `UNIT`, and what follows.
fn family_name(rest: &str) -> Result<(Cow<'_, str>, &str), Fail> {
    let rest = rest.trim_start_matches([' ', '\t']);
    if rest.starts_with('"') {
        return quoted_text(rest);
    }
    let (name, _) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    if !is_metric_name(name) {
        return Err(format!("{name:?} is not a metric name").into());
    }
    Ok((Cow::Borrowed(name), &rest[name.len()..]))
}

/// A name that needs no quotes.
pub(super) fn is_metric_name(name: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':';
    name.bytes().next().is_some_and(first) && name.bytes().all(|b| first(b) || b.is_ascii_digit())
}
