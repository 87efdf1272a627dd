//! Who owns a file, by CODEOWNERS (GitHub's and GitLab's form: the last pattern that matches counts).

use globset::{GlobBuilder, GlobMatcher};
use std::path::Path;

/// Where the file stands, first found.
const PLACES: [&str; 4] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"];
/// Most lines that are read.
pub const MAX_LINES: usize = 10_000;

/// The patterns in order.
#[derive(Clone, Debug, Default)]
pub struct Owners(Vec<(Vec<GlobMatcher>, String)>);

impl Owners {
    /// Reads the file of a repository, if it has one.
    pub fn of(root: &Path) -> Self {
        let text = PLACES.iter().find_map(|place| std::fs::read_to_string(root.join(place)).ok());
        text.map_or_else(Self::default, |text| Self::read(&text))
    }

    /// Reads a text.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().take(MAX_LINES).filter_map(|line| {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with(['#', '[', '^']) {
                return None;
            }
            let mut words = line.split_whitespace();
            let pattern = words.next()?;
            Some((matchers(pattern), words.collect::<Vec<_>>().join(" ")))
        });
        Self(lines.collect())
    }

    /// The owners of a path.
    pub fn owner(&self, path: &str) -> Option<String> {
        let found = self.0.iter().rev().find(|(globs, _)| globs.iter().any(|g| g.is_match(path)))?;
        (!found.1.is_empty()).then(|| found.1.clone())
    }
}

/// A pattern names files, and everything below directories of that name.
fn matchers(pattern: &str) -> Vec<GlobMatcher> {
    let rooted = pattern.trim_end_matches('/').contains('/');
    let bare = pattern.trim_start_matches('/').trim_end_matches('/');
    let whole = if rooted { bare.to_owned() } else { format!("**/{bare}") };
    let mut globs = vec![format!("{whole}/**")];
    if !pattern.ends_with('/') {
        globs.push(whole);
    }
    let build = |glob: &String| GlobBuilder::new(glob).literal_separator(true).build().ok();
    globs.iter().filter_map(build).map(|g| g.compile_matcher()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_counts() {
        let owners = Owners::read("# all\n*  @all\n/infra/ @ops @sec\n*.yml @ci # x\ndocs\n");
        for (path, expect) in [
            ("a.rs", Some("@all")),
            ("infra/main.tf", Some("@ops @sec")),
            ("x/infra/main.tf", Some("@all")),
            (".github/workflows/ci.yml", Some("@ci")),
            ("docs/a.md", None),
        ] {
            assert_eq!(owners.owner(path).as_deref(), expect, "{path}");
        }
    }
}
