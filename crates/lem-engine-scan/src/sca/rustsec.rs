//! The RustSec advisory database: Markdown files with TOML front matter, turned into the compact form.
//!
//! RustSec names what is *not* affected, as requirements; the affected ranges are what remains.

use super::Ecosystem;
use super::osv::{Advisory, Bound, Score, cvss, first_line};
use lem_model::finding::FindingSeverity;
use semver::{Comparator, Op, Version, VersionReq};
use serde::Deserialize;
use thiserror::Error;

/// Why an advisory was not taken.
#[derive(Debug, Error)]
pub enum RustsecError {
    /// No front matter.
    #[error("no ```toml front matter at the top")]
    FrontMatter,
    /// It does not read.
    #[error("front matter does not read")]
    Toml(#[from] toml::de::Error),
    /// A requirement does not parse.
    #[error("requirement {0:?} does not parse")]
    Requirement(String),
}

#[derive(Deserialize)]
struct FrontMatter {
    advisory: Head,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    cvss: Option<String>,
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    withdrawn: Option<toml::Value>,
    date: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Versions {
    patched: Vec<String>,
    unaffected: Vec<String>,
}

/// One file; with its date. `None` when the advisory was withdrawn.
pub fn read(text: &str) -> Result<Option<(Advisory, String)>, RustsecError> {
    let rest = text.trim_start().strip_prefix("```toml").ok_or(RustsecError::FrontMatter)?;
    let (front, body) = rest.split_once("\n```").ok_or(RustsecError::FrontMatter)?;
    let front: FrontMatter = toml::from_str(front)?;
    let head = front.advisory;
    if head.withdrawn.is_some() {
        return Ok(None);
    }
    let safe = front.versions.patched.iter().chain(&front.versions.unaffected);
    let safe = safe.map(|r| interval(r)).collect::<Result<Vec<_>, _>>()?;
    let score = head.cvss.as_deref().and_then(cvss).map(Score::Cvss).or_else(|| {
        // RustSec's own classes of what is no vulnerability.
        head.informational.as_deref().map(|kind| match kind.trim() {
            "unsound" => Score::Word(FindingSeverity::Low),
            _ => Score::Word(FindingSeverity::Info),
        })
    });
    let advisory = Advisory {
        id: head.id,
        aliases: head.aliases,
        ecosystem: Ecosystem::Crates,
        package: head.package,
        ranges: vec![affected(safe)],
        versions: vec![],
        score,
        summary: first_line(body),
    };
    Ok(Some((advisory, head.date)))
}

/// Versions from the first on, up to the second.
type Interval = (Version, Option<Version>);

/// The interval a requirement allows; a requirement with several comparators allows what all of them do.
fn interval(text: &str) -> Result<Interval, RustsecError> {
    let wrong = || RustsecError::Requirement(text.to_owned());
    let requirement = VersionReq::parse(text).map_err(|_| wrong())?;
    let mut whole: Interval = (Version::new(0, 0, 0), None);
    whole.0.pre = semver::Prerelease::new("0").map_err(|_| wrong())?;
    for comparator in &requirement.comparators {
        let (low, high) = bounds(comparator).ok_or_else(wrong)?;
        whole.0 = low.into_iter().fold(whole.0, Version::max);
        whole.1 = match (whole.1, high) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(whole)
}

/// Lower bound, included, and upper bound, excluded.
fn bounds(c: &Comparator) -> Option<(Option<Version>, Option<Version>)> {
    let (minor, patch) = (c.minor.unwrap_or(0), c.patch.unwrap_or(0));
    let mut at = Version::new(c.major, minor, patch);
    at.pre = c.pre.clone();
    let next_patch = || Version::new(c.major, minor, patch + 1);
    let beyond = match (c.minor, c.patch) {
        (None, _) => Version::new(c.major + 1, 0, 0),
        (_, None) => Version::new(c.major, minor + 1, 0),
        _ => next_patch(),
    };
    Some(match c.op {
        Op::GreaterEq => (Some(at), None),
        Op::Greater => (Some(beyond), None),
        Op::Less => (None, Some(at)),
        Op::LessEq => (None, Some(beyond)),
        Op::Exact | Op::Wildcard => (Some(at), Some(beyond)),
        Op::Tilde => {
            let end = if c.minor.is_some() { Version::new(c.major, minor + 1, 0) } else { beyond };
            (Some(at), Some(end))
        }
        Op::Caret => {
            let end = match (c.major, c.minor, c.patch) {
                (0, None, _) => Version::new(1, 0, 0),
                (0, Some(0), None) => Version::new(0, 1, 0),
                (0, Some(0), Some(patch)) => Version::new(0, 0, patch + 1),
                (0, Some(minor), _) => Version::new(0, minor + 1, 0),
                (major, ..) => Version::new(major + 1, 0, 0),
            };
            (Some(at), Some(end))
        }
        _ => return None,
    })
}

/// What no interval covers, as bounds in order.
fn affected(mut safe: Vec<Interval>) -> Vec<Bound> {
    safe.sort_by(|a, b| a.0.cmp(&b.0));
    let mut out = vec![];
    // Everything below `covered` is decided; `None` once an interval has no end.
    let mut covered = Some(None::<Version>);
    for (low, high) in safe {
        let Some(until) = &covered else { break };
        let first = low.major == 0 && low.minor == 0 && low.patch == 0 && low.pre.as_str() == "0";
        let gap = match until {
            None => !first,
            Some(until) => low > *until,
        };
        if gap {
            out.push(Bound::Introduced(until.as_ref().map_or("0".to_owned(), Version::to_string)));
            out.push(Bound::Fixed(low.to_string()));
        }
        covered = match (until.clone(), high) {
            (_, None) => None,
            (Some(until), Some(high)) => Some(Some(until.max(high))),
            (None, Some(high)) => Some(Some(high)),
        };
    }
    if let Some(until) = covered {
        out.push(Bound::Introduced(until.map_or("0".to_owned(), |v| v.to_string())));
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ranges(patched: &str, unaffected: &str) -> String {
        let text = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-1\"\npackage = \"a\"\ndate = \"2020-01-01\"\n[versions]\npatched = {patched}\nunaffected = {unaffected}\n```\n\n# Title of it\n\nMore.\n"
        );
        let (advisory, date) = read(&text).unwrap().unwrap();
        assert_eq!((advisory.summary.as_str(), date.as_str()), ("Title of it", "2020-01-01"));
        let show = |b: &Bound| match b {
            Bound::Introduced(v) => format!("[{v}"),
            Bound::Fixed(v) => format!("{v})"),
            other => format!("{other:?}"),
        };
        advisory.ranges[0].iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_not_safe_is_affected() {
        for (patched, unaffected, expect) in [
            (r#"[">= 1.2.3"]"#, "[]", "[0 1.2.3)"),
            ("[]", "[]", "[0"),
            (r#"[">= 111.9"]"#, r#"["< 111.6"]"#, "[111.6.0 111.9.0)"),
            (r#"["^0.9.3", ">= 1.0.1"]"#, "[]", "[0 0.9.3) [0.10.0 1.0.1)"),
            (r#"[">= 2.0.0, < 3.0.0", "> 3.1.4"]"#, r#"["<= 1.0.0"]"#, "[1.0.1 2.0.0) [3.0.0 3.1.5)"),
            (r#"["=1.2.3"]"#, "[]", "[0 1.2.3) [1.2.4"),
        ] {
            assert_eq!(ranges(patched, unaffected), expect, "{patched} {unaffected}");
        }
    }

    #[test]
    fn withdrawn_is_none_and_wrong_is_said() {
        let text = "```toml\n[advisory]\nid=\"R\"\npackage=\"a\"\ndate=\"2020-01-01\"\nwithdrawn=\"2021-01-01\"\n```\n";
        assert!(read(text).unwrap().is_none());
        assert!(matches!(read("# no"), Err(RustsecError::FrontMatter)));
    }
}
