//! Label matchers: `=`, `!=`, `=~`, `!~`. A label that is absent matches as if it were empty.

use std::fmt;

use regex::Regex;

use crate::re2;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends.
    Regex,
    /// `!~`, anchored at both ends.
    NotRegex,
}

/// One condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Pattern,
}

/// The regular expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct MatcherError {
    /// The expression as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// Any of these texts exactly. Also what `=` and plain alternations such as `a|b` become.
    AnyOf(Vec<String>),
    /// `.*`
    Anything,
    /// `.+`
    NotEmpty,
    Regex(Regex),
}

impl Matcher {
    /// Compiles a matcher; only regular expressions can fail.
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Result<Matcher, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::AnyOf(vec![value.clone()]),
            MatchOp::Regex | MatchOp::NotRegex => compile(&value)?,
        };
        Ok(Matcher { name, op, value, pattern })
    }

    /// `name="value"`
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        let (name, value) = (name.into(), value.into());
        let pattern = Pattern::AnyOf(vec![value.clone()]);
        Matcher { name, op: MatchOp::Equal, value, pattern }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The comparison.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The right-hand side as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Does this label value satisfy the matcher? Pass `""` for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        self.matches_pattern(value) != self.is_negative()
    }

    pub(crate) fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// Ignores the negation.
    pub(crate) fn matches_pattern(&self, value: &str) -> bool {
        match &self.pattern {
            Pattern::AnyOf(texts) => texts.iter().any(|t| t == value),
            Pattern::Anything => true,
            Pattern::NotEmpty => !value.is_empty(),
            Pattern::Regex(regex) => regex.is_match(value),
        }
    }

    /// The finite set of values that the pattern accepts, when it is one.
    pub(crate) fn texts(&self) -> Option<&[String]> {
        match &self.pattern {
            Pattern::AnyOf(texts) => Some(texts),
            _ => None,
        }
    }
}

fn compile(source: &str) -> Result<Pattern, MatcherError> {
    match source {
        ".*" => return Ok(Pattern::Anything),
        ".+" => return Ok(Pattern::NotEmpty),
        _ => {}
    }
    if !source.contains(|c: char| r"\.+*?()[]{}^$".contains(c)) {
        return Ok(Pattern::AnyOf(source.split('|').map(str::to_owned).collect()));
    }
    let fail = |reason: String| MatcherError { pattern: source.to_owned(), reason };
    let translated = re2::translate(source).map_err(&fail)?;
    // Without its own group the user's alternation would escape the anchors.
    Regex::new(&format!(r"\A(?s:{translated})\z")).map(Pattern::Regex).map_err(|e| fail(last_line(&e.to_string())))
}

/// The regex crate draws a multi-line picture of our translated pattern; its last line is the reason.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn table() {
        let check = |op, pattern: &str, value: &str, expect: bool| {
            let matcher = Matcher::new(op, "l", pattern).unwrap();
            assert_eq!(matcher.matches(value), expect, "{matcher} on {value:?}");
        };
        use MatchOp::*;
        check(Equal, "a", "a", true);
        check(Equal, "", "", true);
        check(NotEqual, "a", "", true);
        check(Regex, "a|b", "b", true);
        check(Regex, "a|b", "ab", false);
        check(Regex, "a|", "", true);
        check(Regex, "fo+", "foo", true);
        check(Regex, "fo+", "xfoo", false);
        check(Regex, "fo+", "foox", false);
        check(Regex, "a.b", "a\nb", true);
        check(Regex, "a|b.", "bc", true);
        check(Regex, "a|b.", "abc", false);
        check(Regex, ".*", "", true);
        check(Regex, ".+", "", false);
        check(NotRegex, ".+", "", true);
        check(NotRegex, "5..", "404", true);
        check(Regex, r"\Qa.b\E+", "a.bb", true);
        check(Regex, r"\Qa.b\E", "axb", false);
        check(Regex, r"\d+", "12", true);
        check(Regex, r"\d+", "١٢", false);
        check(Regex, r"[\w-]+", "a-b", true);
        check(Regex, "[[]x", "[x", true);
        check(Regex, "[a&&b]+", "a&b", true);
        check(Regex, "[[:alpha:]]+", "ab", true);
        check(Regex, "[^[:alpha:]]+", "12", true);
        check(Regex, "(?i)up", "UP", true);
        check(Regex, "[]a]+", "]a", true);
    }

    #[test]
    fn bad_expression_is_reported() {
        let err = Matcher::new(MatchOp::Regex, "l", "a(").unwrap_err();
        assert!(err.to_string().starts_with("invalid regular expression \"a(\""), "{err}");
    }
}
