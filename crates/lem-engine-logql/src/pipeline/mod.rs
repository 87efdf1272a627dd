//! The pipeline: compiled stages that change, keep or drop a line.

mod check;
mod extract;
mod filter;
mod json;
mod pattern;
mod template;
mod template_funcs;

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;

use crate::ast::{Format, LabelFilter, MatchOp, Pick, Selector, Stage};
use crate::value::LabelSet;

pub(crate) use check::{check_ip, check_json_path, check_line_pattern, check_pattern, check_template};
pub(crate) use filter::holds;
pub(crate) use pattern::literal_pieces;
use template::Template;

pub(crate) const ERROR: &str = "__error__";
pub(crate) const ERROR_DETAILS: &str = "__error_details__";

/// A line on its way through the pipeline.
pub(crate) struct Row<'a> {
    pub(crate) ts_ns: i64,
    pub(crate) line: Cow<'a, [u8]>,
    base: &'a LabelSet,
    /// What stages changed; `None` is a label that was dropped.
    over: BTreeMap<String, Option<String>>,
}

impl<'a> Row<'a> {
    /// A line with its stream's labels; metadata whose name is taken gains `_extracted`.
    pub(crate) fn new(ts_ns: i64, line: &'a [u8], base: &'a LabelSet, metadata: &[(String, String)]) -> Self {
        let mut row = Self { ts_ns, line: Cow::Borrowed(line), base, over: BTreeMap::new() };
        for (name, value) in metadata {
            row.extract(&sanitise(name), value.clone(), &mut Vec::new());
        }
        row
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        match self.over.get(name) {
            Some(value) => value.as_deref().unwrap_or(""),
            None => self.base.get(name).map_or("", String::as_str),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.over.insert(name.to_owned(), Some(value).filter(|v| !v.is_empty()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.over.insert(name.to_owned(), None);
    }

    /// A label from a parser: a stream label of that name keeps it, and of two equal keys the first wins.
    fn extract(&mut self, name: &str, value: String, done: &mut Vec<String>) {
        let name =
            if self.base.contains_key(name) { Cow::Owned(format!("{name}_extracted")) } else { Cow::Borrowed(name) };
        if done.iter().any(|d| *d == *name) || done.len() >= crate::limits::PARSED_LABELS_MAX {
            return;
        }
        self.set(&name, value);
        done.push(name.into_owned());
    }

    pub(crate) fn fail(&mut self, kind: &str, details: impl Into<String>) {
        // The first error of a line stays.
        if self.get(ERROR).is_empty() {
            self.set(ERROR, kind.to_owned());
            self.set(ERROR_DETAILS, details.into());
        }
    }

    pub(crate) fn labels(&self) -> LabelSet {
        let mut labels = self.base.clone();
        for (name, value) in &self.over {
            match value {
                Some(value) => labels.insert(name.clone(), value.clone()),
                None => labels.remove(name),
            };
        }
        labels
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.line)
    }
}

/// Letters, digits and underscores; a digit does not come first.
fn sanitise(name: &str) -> String {
    let mut out: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// A text comparison ready to run.
#[derive(Debug, Clone)]
pub(crate) struct TextMatch {
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl TextMatch {
    pub(crate) fn new(op: MatchOp, value: &str) -> Result<Self, String> {
        let anchored = || Regex::new(&format!("^(?:{value})$")).map_err(|e| e.to_string());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored()?),
        };
        Ok(Self { op, value: value.to_owned(), regex })
    }

    pub(crate) fn accepts(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }
}

pub(crate) fn text_matches(selector: &Selector, value: &str) -> Result<bool, String> {
    TextMatch::new(selector.op, &selector.value).map(|m| m.accepts(value))
}

enum Step {
    Line(filter::LineTest),
    Json(Vec<(String, Vec<json::Segment>)>),
    Logfmt { strict: bool, keep_empty: bool, pairs: Vec<(String, String)> },
    Regexp(Regex),
    Pattern(pattern::Pattern),
    Unpack,
    Label(filter::LabelTest),
    LineFormat(Template),
    LabelFormat(Vec<(String, Target)>),
    Drop(Vec<(String, Option<TextMatch>)>),
    Keep(Vec<(String, Option<TextMatch>)>),
    Decolorize(Regex),
}

enum Target {
    Rename(String),
    Template(Template),
}

/// Compiled stages.
pub(crate) struct Pipeline {
    steps: Vec<Step>,
}

impl Pipeline {
    /// The parser has checked every part, so an error here is one of the tree's maker.
    pub(crate) fn new(stages: &[Stage]) -> Result<Self, String> {
        Ok(Self { steps: stages.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Runs the stages; false if the line is dropped.
    pub(crate) fn run(&self, row: &mut Row<'_>) -> bool {
        self.steps.iter().all(|step| step.run(row))
    }
}

/// Filters behind `unwrap`.
pub(crate) struct Filters(Vec<filter::LabelTest>);

impl Filters {
    pub(crate) fn new(filters: &[LabelFilter]) -> Result<Self, String> {
        Ok(Self(filters.iter().map(filter::LabelTest::new).collect::<Result<_, _>>()?))
    }

    pub(crate) fn keep(&self, row: &mut Row<'_>) -> bool {
        self.0.iter().all(|f| f.keep(row))
    }
}

fn compile(stage: &Stage) -> Result<Step, String> {
    let regex = |text: &str| Regex::new(text).map_err(|e| e.to_string());
    Ok(match stage {
        Stage::Line { op, terms } => Step::Line(filter::LineTest::new(*op, terms)?),
        Stage::Json(pairs) => {
            Step::Json(pairs.iter().map(|(n, p)| Ok((n.clone(), json::parse_path(p)?))).collect::<Result<_, String>>()?)
        }
        Stage::Logfmt { strict, keep_empty, pairs } => {
            Step::Logfmt { strict: *strict, keep_empty: *keep_empty, pairs: pairs.clone() }
        }
        Stage::Regexp(text) => Step::Regexp(regex(text)?),
        Stage::Pattern(text) => Step::Pattern(pattern::Pattern::parser(text)?),
        Stage::Unpack => Step::Unpack,
        Stage::Label(filter) => Step::Label(filter::LabelTest::new(filter)?),
        Stage::LineFormat(text) => Step::LineFormat(Template::new(text)?),
        Stage::LabelFormat(formats) => Step::LabelFormat(formats.iter().map(target).collect::<Result<_, _>>()?),
        Stage::Drop(picks) => Step::Drop(picks.iter().map(pick).collect::<Result<_, _>>()?),
        Stage::Keep(picks) => Step::Keep(picks.iter().map(pick).collect::<Result<_, _>>()?),
        Stage::Decolorize => Step::Decolorize(regex("\u{1b}\\[[0-9;]*[A-Za-z]")?),
    })
}

fn target((name, format): &(String, Format)) -> Result<(String, Target), String> {
    let target = match format {
        Format::Rename(from) => Target::Rename(from.clone()),
        Format::Template(text) => Target::Template(Template::new(text)?),
    };
    Ok((name.clone(), target))
}

fn pick(pick: &Pick) -> Result<(String, Option<TextMatch>), String> {
    let value = pick.value.as_ref().map(|(op, value)| TextMatch::new(*op, value)).transpose()?;
    Ok((pick.name.clone(), value))
}

impl Step {
    fn run(&self, row: &mut Row<'_>) -> bool {
        match self {
            Self::Line(test) => return test.keep(&row.line),
            Self::Label(test) => return test.keep(row),
            Self::Json(paths) => json::run(row, paths),
            Self::Logfmt { strict, keep_empty, pairs } => extract::logfmt(row, *strict, *keep_empty, pairs),
            Self::Regexp(regex) => extract::regexp(row, regex),
            Self::Pattern(pattern) => extract::pattern(row, pattern),
            Self::Unpack => json::unpack(row),
            Self::LineFormat(template) => match template.print(row) {
                Ok(line) => row.line = Cow::Owned(line.into_bytes()),
                Err(why) => row.fail("TemplateFormatErr", why),
            },
            Self::LabelFormat(formats) => label_format(row, formats),
            Self::Drop(picks) => drop_labels(row, picks),
            Self::Keep(picks) => keep_labels(row, picks),
            Self::Decolorize(regex) => {
                let plain = regex.replace_all(&row.text(), "").into_owned();
                if plain.len() != row.line.len() {
                    row.line = Cow::Owned(plain.into_bytes());
                }
            }
        }
        true
    }
}

fn label_format(row: &mut Row<'_>, formats: &[(String, Target)]) {
    for (name, target) in formats {
        match target {
            Target::Rename(from) => {
                let value = row.get(from).to_owned();
                if !value.is_empty() {
                    row.set(name, value);
                    row.remove(from);
                }
            }
            Target::Template(template) => match template.print(row) {
                Ok(value) => row.set(name, value),
                Err(why) => row.fail("TemplateFormatErr", why),
            },
        }
    }
}

fn drop_labels(row: &mut Row<'_>, picks: &[(String, Option<TextMatch>)]) {
    for (name, value) in picks {
        if value.as_ref().is_none_or(|v| v.accepts(row.get(name))) {
            row.remove(name);
            if name == ERROR {
                row.remove(ERROR_DETAILS);
            }
        }
    }
}

fn keep_labels(row: &mut Row<'_>, picks: &[(String, Option<TextMatch>)]) {
    let wanted = |name: &str, value: &str| {
        name == ERROR
            || name == ERROR_DETAILS
            || picks.iter().any(|(n, v)| n == name && v.as_ref().is_none_or(|v| v.accepts(value)))
    };
    let gone: Vec<String> = row.labels().into_iter().filter(|(n, v)| !wanted(n, v)).map(|(n, _)| n).collect();
    for name in gone {
        row.remove(&name);
    }
}
