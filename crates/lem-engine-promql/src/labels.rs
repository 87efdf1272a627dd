//! Label sets and the matchers that select them.

use std::fmt;
use std::sync::Arc;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::number::quote;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds the metric type, when the store adds it.
pub const METRIC_TYPE: &str = "__type__";
/// The label that holds the metric unit, when the store adds it.
pub const METRIC_UNIT: &str = "__unit__";
/// The label that holds the upper bound of a classic histogram bucket.
pub const BUCKET_LABEL: &str = "le";

/// Whether a label describes the metric (name, type, unit) rather than the target.
pub fn is_metadata(name: &str) -> bool {
    matches!(name, METRIC_NAME | METRIC_TYPE | METRIC_UNIT)
}

/// A sorted label set, cheap to clone. No empty values, no name twice.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Labels(Arc<[(String, String)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from(Vec::new()))
    }
}

impl Labels {
    /// Sorts the pairs, drops empty values; the last of two equal names wins.
    pub fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out: Vec<(String, String)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match out.last_mut() {
                Some(last) if last.0 == pair.0 => last.1 = pair.1,
                _ => out.push(pair),
            }
        }
        out.retain(|(_, value)| !value.is_empty());
        Self(out.into())
    }

    /// From borrowed pairs; see [`Labels::new`].
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(pairs.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    /// The value of a label, empty when absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)).map_or("", |i| self.0[i].1.as_str())
    }

    /// Whether the label is present.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// The metric name, empty when absent.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The pairs in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the labels whose name passes.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().all(|(n, _)| keep(n)) {
            return self.clone();
        }
        Self(self.0.iter().filter(|(n, _)| keep(n)).cloned().collect())
    }

    /// Without name, type and unit.
    pub fn without_metadata(&self) -> Self {
        self.filter(|name| !is_metadata(name))
    }

    /// With one label set, or removed when the value is empty.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<(String, String)> = self.0.to_vec();
        pairs.retain(|(n, _)| n != name);
        pairs.push((name.to_owned(), value.to_owned()));
        Self::new(pairs)
    }

    /// The labels that take part in vector matching (upstream's `MatchLabels`).
    pub fn match_labels(&self, on: bool, names: &[String]) -> Self {
        if on {
            self.filter(|n| names.iter().any(|l| l == n))
        } else {
            self.filter(|n| n != METRIC_NAME && !names.iter().any(|l| l == n))
        }
    }

    /// The 64-bit hash the reference uses for `limit_ratio` (xxHash64 over length-prefixed strings).
    pub fn stable_hash(&self) -> u64 {
        let mut bytes = Vec::new();
        for (name, value) in self.iter() {
            push_sized(&mut bytes, name);
            push_sized(&mut bytes, value);
        }
        xxhash_rust::xxh64::xxh64(&bytes, 0)
    }
}

fn push_sized(out: &mut Vec<u8>, text: &str) {
    let len = text.len();
    if len < 255 {
        out.push(len as u8);
    } else {
        out.extend([255, len as u8, (len >> 8) as u8, (len >> 16) as u8]);
    }
    out.extend_from_slice(text.as_bytes());
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                write!(f, "{name}={}", quote(value))?;
            } else {
                write!(f, "{}={}", quote(name), quote(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a label name needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a metric name needs no quotes: a label name that may hold colons.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One label matcher. Regular expressions are fully anchored and `.` matches newline.
#[derive(Debug, Clone, Serialize)]
pub struct Matcher {
    /// The label name.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// The value or pattern.
    pub value: String,
    #[serde(skip)]
    regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Matcher {
    /// Compiles the pattern when there is one.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, regex::Error> {
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored_regex(value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// An equality matcher.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), regex: None }
    }

    /// Whether a label value (empty when absent) passes.
    pub fn matches(&self, value: &str) -> bool {
        let hit = self.regex.as_ref().map_or_else(|| self.value == value, |re| re.is_match(value));
        match self.op {
            MatchOp::Equal | MatchOp::Regex => hit,
            MatchOp::NotEqual | MatchOp::NotRegex => !hit,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            write!(f, "{}", self.name)?;
        } else {
            write!(f, "{}", quote(&self.name))?;
        }
        write!(f, "{}{}", self.op.symbol(), quote(&self.value))
    }
}

/// Compiles an RE2 pattern, fully anchored, `.` matching newline.
pub fn anchored_regex(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?s:{})$", translate_re2(pattern)))
}

/// Rewrites what RE2 accepts and this engine's dialect reads differently: `\Q…\E`, braces that are
/// no repetition, and `[`, `&&`, `--`, `~~` inside a class.
pub fn translate_re2(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len());
    let mut i = 0;
    let mut in_class = false;
    let mut class_start = 0;
    while i < chars.len() {
        let c = chars[i];
        let next = chars.get(i + 1).copied();
        match c {
            '\\' if next == Some('Q') => {
                let rest: String = chars[i + 2..].iter().collect();
                let (literal, skip) =
                    rest.find("\\E").map_or((rest.as_str(), rest.len()), |end| (&rest[..end], end + 2));
                out.push_str(&regex::escape(literal));
                i += 2 + rest[..skip].chars().count();
                continue;
            }
            '\\' => {
                out.push(c);
                if let Some(escaped) = next {
                    out.push(escaped);
                }
                i += 2;
                continue;
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                i += 1;
                if chars.get(i) == Some(&'^') {
                    out.push('^');
                    i += 1;
                }
                class_start = i;
                continue;
            }
            '[' if next == Some(':') => out.push('['),
            '[' => out.push_str("\\["),
            ']' if in_class && i == class_start => out.push_str("\\]"),
            ']' if in_class && i > 0 && chars[i - 1] == ':' && class_opened(&chars[class_start..i]) => {
                out.push(']');
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class && next == Some(c) => {
                out.push('\\');
                out.push(c);
            }
            '{' if !in_class && !is_repetition(&chars[i..]) => out.push_str("\\{"),
            '}' if !in_class && !closes_repetition(&out) => out.push_str("\\}"),
            _ => out.push(c),
        }
        i += 1;
    }
    out
}

fn class_opened(class: &[char]) -> bool {
    let text: String = class.iter().collect();
    text.rfind("[:").is_some_and(|at| !text[at..].contains(":]") && text.len() > at + 2)
}

fn is_repetition(rest: &[char]) -> bool {
    let text: String = rest.iter().skip(1).take(16).collect();
    text.split_once('}').is_some_and(|(body, _)| {
        let (low, high) = body.split_once(',').unwrap_or((body, ""));
        !low.is_empty() && low.bytes().all(|b| b.is_ascii_digit()) && high.bytes().all(|b| b.is_ascii_digit())
    })
}

fn closes_repetition(out: &str) -> bool {
    out.rfind('{').is_some_and(|at| {
        let escaped_literal = out[..at].ends_with('\\') && !out[..at].ends_with("\\\\");
        let property = out[..at].ends_with("\\p") || out[..at].ends_with("\\P") || out[..at].ends_with("\\x");
        (property || !escaped_literal) && !out[at..].contains('}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_translated() {
        let cases = [
            ("a.c", "abc", true),
            ("a.c", "xabc", false),
            ("a.c", "a\nc", true),
            ("\\Qa.c\\E", "a.c", true),
            ("\\Qa.c\\E", "abc", false),
            ("a{2}", "aa", true),
            ("a{", "a{", true),
            ("[[:alpha:]]+", "abc", true),
            ("[[]", "[", true),
            ("a|b", "b", true),
            ("", "", true),
        ];
        for (pattern, text, expect) in cases {
            let re = anchored_regex(pattern).expect("compiles");
            assert_eq!(re.is_match(text), expect, "{pattern} on {text}");
        }
    }

    #[test]
    fn label_sets_are_sorted_and_hold_no_empty_value() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "2"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="2", b="1"}"#);
        assert_eq!(labels.get("c"), "");
        assert_eq!(labels.with("a", "").to_string(), r#"{b="1"}"#);
    }
}
