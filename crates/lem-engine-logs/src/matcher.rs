//! Label matchers: `= != =~ !~`, regexes fully anchored, an absent label equal to the empty string.

use regex::Regex;
use thiserror::Error;

use crate::record::Labels;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// A matcher whose regular expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("matcher on {name:?} has a bad regular expression: {why}")]
pub struct BadMatcher {
    name: String,
    why: String,
}

/// One matcher.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Compiles a matcher.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, BadMatcher> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(
                Regex::new(&format!("^(?:{value})$"))
                    .map_err(|e| BadMatcher { name: name.clone(), why: e.to_string() })?,
            ),
        };
        Ok(Self { name, op, value, regex })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if a value passes.
    pub fn accepts(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// True if the stream's labels pass.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.name).unwrap_or(""))
    }
}

pub(crate) fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches(labels))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn matchers_compare_as_documented() {
        let labels = Labels::new([("app", "shop")]);
        let check = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap().matches(&labels);
        for (name, op, value, expect) in [
            ("app", MatchOp::Equal, "shop", true),
            ("app", MatchOp::NotEqual, "shop", false),
            ("app", MatchOp::Regex, "sho", false),
            ("app", MatchOp::Regex, "sh.p|x", true),
            ("app", MatchOp::NotRegex, "x|shop", false),
            ("none", MatchOp::Equal, "", true),
            ("none", MatchOp::Regex, ".+", false),
            ("none", MatchOp::NotEqual, "a", true),
        ] {
            assert_eq!(check(name, op, value), expect, "{name} {op:?} {value}");
        }
        assert!(Matcher::new("a", MatchOp::Regex, "(").is_err());
    }
}
