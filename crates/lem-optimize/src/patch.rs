//! Patches to the user's own file: the bytes of one value change, comments and formatting stay, and what people get is
//! a unified diff.
//!
//! A value is changed where it is written. When it comes from somewhere else, or the place is not unique, there is no
//! patch and the reason says so.

pub mod hcl;
pub mod yaml;

use similar::TextDiff;
use std::ops::Range;
use thiserror::Error;

/// Lines of context around a change.
pub const CONTEXT: usize = 3;

/// Why there is no patch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoPatch {
    /// The file does not read.
    #[error("{file} does not read: {why}")]
    Unreadable {
        /// File.
        file: String,
        /// Cause.
        why: String,
    },
    /// There is nothing of that name.
    #[error("{file} has no {what}")]
    Missing {
        /// File.
        file: String,
        /// What was looked for.
        what: String,
    },
    /// The value is not written there.
    #[error("{what} in {file} is {why}; change it where it is defined")]
    Elsewhere {
        /// File.
        file: String,
        /// Which value.
        what: String,
        /// How it is written.
        why: String,
    },
    /// The value stands in several places.
    #[error("{what} stands {count} times in {file}")]
    Ambiguous {
        /// File.
        file: String,
        /// What was looked for.
        what: String,
        /// How often.
        count: usize,
    },
    /// The patch does not fit the file as it is now.
    #[error("the patch does not fit {file} as it is now")]
    Stale {
        /// File.
        file: String,
    },
}

/// One replacement of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the old text.
    pub span: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// The text after edits that do not overlap.
pub fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|e| e.span.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out += &text[at..edit.span.start];
        out += &edit.text;
        at = edit.span.end;
    }
    out + &text[at..]
}

/// A unified diff, as `git apply` and `patch -p1` take it; `None` when nothing differs.
pub fn diff(file: &str, old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let diff = TextDiff::from_lines(old, new);
    let text =
        diff.unified_diff().context_radius(CONTEXT).header(&format!("a/{file}"), &format!("b/{file}")).to_string();
    Some(text)
}

/// Files a unified diff names.
pub fn files(patch: &str) -> Vec<String> {
    patch.lines().filter_map(|l| l.strip_prefix("+++ b/")).map(str::to_owned).collect()
}

/// The text after a unified diff of one file. A patch that is applied already changes nothing.
pub fn apply(file: &str, text: &str, patch: &str) -> Result<String, NoPatch> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut shift = 0_isize;
    let mut applied = 0;
    for hunk in hunks(patch) {
        let at = hunk.start.saturating_sub(1).saturating_add_signed(shift);
        if let Some(at) = place(&lines, &hunk.old, at) {
            lines.splice(at..at + hunk.old.len(), hunk.new.iter().copied());
            shift += hunk.new.len() as isize - hunk.old.len() as isize;
            applied += 1;
        } else if place(&lines, &hunk.new, at).is_some() {
            applied += 1;
        }
    }
    if applied == 0 || applied != hunks(patch).len() {
        return Err(NoPatch::Stale { file: file.to_owned() });
    }
    Ok(lines.concat())
}

struct Hunk<'a> {
    start: usize,
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

/// Where lines stand: at the expected place, or at the only other one.
fn place(lines: &[&str], wanted: &[&str], at: usize) -> Option<usize> {
    let fits = |at: usize| lines.get(at..at + wanted.len()).is_some_and(|l| l == wanted);
    if fits(at) {
        return Some(at);
    }
    let mut places = (0..lines.len()).filter(|at| fits(*at));
    let only = places.next()?;
    places.next().is_none().then_some(only)
}

fn hunks(patch: &str) -> Vec<Hunk<'_>> {
    let mut hunks: Vec<Hunk<'_>> = vec![];
    for line in patch.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("@@ -") {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            hunks.push(Hunk { start: rest[..digits].parse().unwrap_or(1), old: vec![], new: vec![] });
        } else if let Some(hunk) = hunks.last_mut() {
            let Some(mark) = line.chars().next() else { continue };
            let rest = &line[mark.len_utf8()..];
            match mark {
                ' ' => {
                    hunk.old.push(rest);
                    hunk.new.push(rest);
                }
                '-' => hunk.old.push(rest),
                '+' => hunk.new.push(rest),
                _ => {}
            }
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_patch_applies_once_and_changes_nothing_the_second_time() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nD\ne\nf\ng\nh\n";
        let patch = diff("x/y.txt", old, new).unwrap();
        assert!(patch.starts_with("--- a/x/y.txt\n+++ b/x/y.txt\n@@ -1,7 +1,7 @@\n"), "{patch}");
        assert_eq!(files(&patch), ["x/y.txt"]);
        assert_eq!(apply("x/y.txt", old, &patch).unwrap(), new);
        assert_eq!(apply("x/y.txt", new, &patch).unwrap(), new);
        assert_eq!(apply("x/y.txt", &format!("0\n{old}"), &patch).unwrap(), format!("0\n{new}"), "moved by a line");
        assert_eq!(apply("x/y.txt", "other\n", &patch), Err(NoPatch::Stale { file: "x/y.txt".into() }));
        assert_eq!(diff("x", old, old), None);
    }
}
