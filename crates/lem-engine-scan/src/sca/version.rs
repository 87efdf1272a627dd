//! Versions, compared as each ecosystem compares them.

use super::Ecosystem;
use semver::Version;
use std::cmp::Ordering;
use std::str::FromStr;

/// How two versions stand; `None` when one of them does not parse.
pub fn compare(ecosystem: Ecosystem, a: &str, b: &str) -> Option<Ordering> {
    match ecosystem {
        Ecosystem::Crates | Ecosystem::Npm => Some(semantic(a)?.cmp_precedence(&semantic(b)?)),
        Ecosystem::Go => Some(go(a)?.cmp_precedence(&go(b)?)),
        Ecosystem::PyPI => Some(pep440_rs::Version::from_str(a).ok()?.cmp(&pep440_rs::Version::from_str(b).ok()?)),
    }
}

/// Semantic Versioning 2.0; a missing minor or patch is zero, as advisories write `1.2`.
fn semantic(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches(['v', '=']);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(end);
    let dots = core.bytes().filter(|b| *b == b'.').count();
    let padded = match dots {
        0 => format!("{core}.0.0{rest}"),
        1 => format!("{core}.0{rest}"),
        _ => return None,
    };
    Version::parse(&padded).ok()
}

/// Go's module versions: semantic ones with a `v`. A pseudo-version is a pre-release by its form, and `+incompatible`
/// is build metadata, which has no precedence. Go's own advisories write versions without the `v`, and of the
/// toolchain as `1.21rc1`.
fn go(text: &str) -> Option<Version> {
    let text = text.trim();
    let bare = text.strip_prefix("go").or_else(|| text.strip_prefix('v')).unwrap_or(text);
    semantic(bare).or_else(|| {
        let at = bare.find(|c: char| c.is_ascii_alphabetic())?;
        semantic(&format!("{}-{}", pad(&bare[..at])?, &bare[at..]))
    })
}

fn pad(core: &str) -> Option<String> {
    semantic(core).map(|v| v.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn each_ecosystem_in_its_own_order() {
        for (ecosystem, a, b, expect) in [
            (Ecosystem::Crates, "1.2.3", "1.2.10", Some(Less)),
            (Ecosystem::Crates, "1.0.0-rc.1", "1.0.0", Some(Less)),
            (Ecosystem::Crates, "1.0.0+a", "1.0.0+b", Some(Equal)),
            (Ecosystem::Npm, "v1.2", "1.2.0", Some(Equal)),
            (Ecosystem::Npm, "1.0.0-alpha.9", "1.0.0-alpha.10", Some(Less)),
            (Ecosystem::Go, "v0.0.0-20210101000000-abcdefabcdef", "v0.0.0-20220101000000-abcdefabcdef", Some(Less)),
            (Ecosystem::Go, "v0.0.0-20220101000000-abcdefabcdef", "0.0.1", Some(Less)),
            (Ecosystem::Go, "v2.0.0+incompatible", "2.0.0", Some(Equal)),
            (Ecosystem::Go, "go1.21rc1", "1.21.0", Some(Less)),
            (Ecosystem::PyPI, "1!0.1", "2024.1", Some(Greater)),
            (Ecosystem::PyPI, "1.0.post1", "1.0", Some(Greater)),
            (Ecosystem::PyPI, "1.0rc1", "1.0", Some(Less)),
            (Ecosystem::PyPI, "1.0+local", "1.0", Some(Greater)),
            (Ecosystem::PyPI, "1.0.dev1", "1.0a1", Some(Less)),
            (Ecosystem::PyPI, "latest", "1.0", None),
            (Ecosystem::Npm, "workspace:*", "1.0.0", None),
            (Ecosystem::Crates, "1.2.3.4", "1.0.0", None),
        ] {
            assert_eq!(compare(ecosystem, a, b), expect, "{a} {b}");
        }
    }
}
