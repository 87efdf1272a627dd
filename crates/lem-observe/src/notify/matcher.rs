//! Matchers of Alertmanager: `name="value"`, `!=`, `=~`, `!~`, several with commas, braces allowed.

use lem_model::fact::SilenceMatcher;
use regex::Regex;
use std::collections::BTreeMap;
use std::fmt;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label.
#[derive(Clone, Debug)]
pub struct LabelMatcher {
    name: String,
    op: Op,
    value: String,
    regex: Option<Regex>,
}

impl PartialEq for LabelMatcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for LabelMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Regex => "=~",
            Op::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

impl LabelMatcher {
    /// A matcher; regular expressions are anchored at both ends.
    pub fn new(op: Op, name: &str, value: &str) -> Result<Self, String> {
        let regex = match op {
            Op::Regex | Op::NotRegex => Some(Regex::new(&format!("^(?s:{value})$")).map_err(|e| e.to_string())?),
            Op::Equal | Op::NotEqual => None,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// The matcher of a silence.
    pub fn of_silence(m: &SilenceMatcher) -> Result<Self, String> {
        let op = match (m.is_equal, m.is_regex) {
            (true, false) => Op::Equal,
            (false, false) => Op::NotEqual,
            (true, true) => Op::Regex,
            (false, true) => Op::NotRegex,
        };
        Self::new(op, &m.name, &m.value)
    }

    /// The same as a matcher of a silence.
    pub fn as_silence(&self) -> SilenceMatcher {
        let (is_equal, is_regex) = match self.op {
            Op::Equal => (true, false),
            Op::NotEqual => (false, false),
            Op::Regex => (true, true),
            Op::NotRegex => (false, true),
        };
        SilenceMatcher { name: self.name.clone(), value: self.value.clone(), is_regex, is_equal }
    }

    /// Whether labels pass; a label that is not there is empty.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let by_regex = || self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            Op::Equal => value == self.value,
            Op::NotEqual => value != self.value,
            Op::Regex => by_regex(),
            Op::NotRegex => !by_regex(),
        }
    }
}

/// Whether all pass.
pub fn all_match(matchers: &[LabelMatcher], labels: &BTreeMap<String, String>) -> bool {
    matchers.iter().all(|m| m.matches(labels))
}

/// Reads one or several matchers.
pub fn parse(text: &str) -> Result<Vec<LabelMatcher>, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').map_or(Ok(inner), |rest| {
        rest.strip_suffix('}').ok_or_else(|| format!("bad matcher {text:?}: the brace is not closed"))
    })?;
    split(inner).into_iter().filter(|part| !part.trim().is_empty()).map(|part| one(part.trim())).collect()
}

/// Parts between commas that stand outside quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (vec![], 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    parts.push(&text[start..]);
    parts
}

fn one(text: &str) -> Result<LabelMatcher, String> {
    let bad = || format!("bad matcher {text:?}: expected name=\"value\", !=, =~ or !~");
    let at = text.find(['=', '!']).ok_or_else(bad)?;
    let (name, rest) = (text[..at].trim(), &text[at..]);
    let (op, value) = [("=~", Op::Regex), ("!~", Op::NotRegex), ("!=", Op::NotEqual), ("=", Op::Equal)]
        .into_iter()
        .find_map(|(sign, op)| rest.strip_prefix(sign).map(|value| (op, value.trim())))
        .ok_or_else(bad)?;
    let name = name.trim_matches('"');
    if name.is_empty() {
        return Err(bad());
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => unescape(quoted.strip_suffix('"').ok_or_else(bad)?),
        None => value.to_owned(),
    };
    LabelMatcher::new(op, name, &value)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_read_and_match() {
        let labels: BTreeMap<String, String> = [("team".to_owned(), "a,b".to_owned())].into();
        for (text, expect) in [
            ("team=\"a,b\"", true),
            ("{team=~\"a.*\", other=\"\"}", true),
            ("team!=x", true),
            ("team!~\"a.*\"", false),
            ("team=a", false),
        ] {
            assert_eq!(parse(text).map(|m| all_match(&m, &labels)), Ok(expect), "{text}");
        }
        for text in ["team", "=x", "{team=a", "team=~\"(\""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
