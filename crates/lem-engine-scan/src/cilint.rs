//! Pipeline files: what lets a stranger's change run with your secrets.
//!
//! In: the text of a GitHub Actions workflow or of `.gitlab-ci.yml`. Out: findings with places, under the names the
//! field already has for them, and diagnostics when the file does not read. Expressions are looked at as text: which
//! contexts they name is what matters here, not what they evaluate to.

mod github;
mod gitlab;
mod rules;

/// Names and severities of the rules, for counting and for documentation.
pub use rules::RULES;

use crate::{Found, Report};
use lem_engine_yaml::{Node, Options, parse_one};

/// What kind of pipeline file a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A workflow of GitHub Actions.
    GitHub,
    /// `.gitlab-ci.yml`.
    GitLab,
}

/// The kind of a path, by its name.
pub fn kind(path: &str) -> Option<Kind> {
    let yaml = path.ends_with(".yml") || path.ends_with(".yaml");
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    if yaml && (directory == ".github/workflows" || directory.ends_with("/.github/workflows")) {
        return Some(Kind::GitHub);
    }
    (path == ".gitlab-ci.yml" || path.ends_with("/.gitlab-ci.yml")).then_some(Kind::GitLab)
}

/// Judges a pipeline file.
pub fn judge(kind: Kind, file: &str, text: &str) -> Report {
    let (tree, diagnostics) = parse_one(text, file, Options::default());
    let mut found: Vec<Found> = vec![];
    if let Some(tree) = &tree {
        match kind {
            Kind::GitHub => github::judge(file, tree, &mut found),
            Kind::GitLab => gitlab::judge(file, tree, &mut found),
        }
    }
    found.sort_by(|a, b| (a.place.line, &a.rule).cmp(&(b.place.line, &b.rule)));
    Report { found, unknown: vec![], diagnostics }
}

/// The text of a scalar at a key.
fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Node::text)
}
