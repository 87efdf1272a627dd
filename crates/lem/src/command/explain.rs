//! `lem explain CODE`: what a message's code means and what to do.

use crate::exit::{Failure, usage};
use lem_model::diagnostic::nearest;

/// A line per code: the code, a colon, what it means and what to do.
const CODES: &str = include_str!("explain/codes.txt");

fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CODES.lines().filter_map(|line| line.split_once(": "))
}

/// Explains one code, or lists them.
pub(crate) fn explain(code: Option<&str>) -> Result<(), Failure> {
    let Some(code) = code else {
        for (code, text) in codes() {
            println!("{code:<22} {}", text.split_inclusive(". ").next().unwrap_or(text).trim());
        }
        return Ok(());
    };
    if let Some((_, text)) = codes().find(|(known, _)| *known == code) {
        println!("{text}");
        return Ok(());
    }
    let hint = nearest(code, codes().map(|c| c.0)).map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(usage(format!("no code {code:?} is known{hint}; lem explain lists them")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Crates whose messages are explained here in full.
    const EXPLAINED: [&str; 6] =
        ["lem-engine-yaml", "lem-engine-hcl", "lem-provision", "lem-engine-scan", "lem-secure", "lem-optimize"];
    /// What stands before the code of a message, in its place among the arguments.
    const CALLS: [&str; 8] = [
        "Diagnostic::error(",
        "Diagnostic::warning(",
        "error(",
        "named_error(",
        "missing(",
        "report(",
        "unknown(",
        "code: ",
    ];

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }

    /// Literals that look like codes right behind a call that takes one.
    fn written(text: &str) -> BTreeSet<&str> {
        let mut codes = BTreeSet::new();
        for call in CALLS {
            for (at, _) in text.match_indices(call) {
                let rest = text[at + call.len()..].trim_start();
                let Some((code, _)) = rest.strip_prefix('"').and_then(|r| r.split_once('"')) else { continue };
                let plain = code.contains('-')
                    && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit());
                if plain {
                    codes.insert(code);
                }
            }
        }
        codes
    }

    #[test]
    fn every_code_of_the_outer_stages_is_explained() {
        let known: BTreeSet<&str> = codes().map(|c| c.0).collect();
        assert_eq!(known.len(), CODES.lines().count(), "every line is a code with its meaning, and each stands once");
        let mut seen = 0;
        for name in EXPLAINED {
            let mut found = vec![];
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src"), &mut found);
            for code in found.iter().flat_map(|text| written(text)) {
                assert!(known.contains(code), "{name} says {code:?}, which explain/codes.txt does not know");
                seen += 1;
            }
        }
        assert!(seen > 80, "{seen}: the calls are found where they are");
    }
}
