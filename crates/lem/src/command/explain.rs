//! `lem explain CODE`: what a message's code means and what to do.

use crate::exit::{Failure, usage};
use lem_model::diagnostic::nearest;

/// Code, meaning, advice.
const CODES: &[(&str, &str)] = &[
    (
        "yaml-syntax",
        "The file is not YAML from this place on. The place is where reading became impossible; the cause is often on the line before: a missing colon, a tab, a quote that is not closed.",
    ),
    (
        "yaml-duplicate-key",
        "The same key stands twice in one mapping. One of them would silently win, so the file is refused: remove one.",
    ),
    ("yaml-depth", "The file is nested deeper than any real configuration; it is refused to protect the reader."),
    (
        "yaml-size",
        "Aliases expand to more nodes than any real configuration has; the file is refused to protect the reader.",
    ),
    ("yaml-alias", "An alias (*name) stands before its anchor (&name) is complete."),
    ("yaml-merge", "A merge key (<<) takes a mapping, an alias of one, or a list of them."),
    ("yaml-documents", "The file has several documents (---) where one is expected."),
    ("file-too-large", "The file is larger than what is read of users' files."),
    ("not-utf8", "The file has bytes that are not UTF-8. Convert it, or check that it is the file you mean."),
    (
        "unknown-key",
        "Nothing reads this key. It is an error because a misspelt key would otherwise silently do nothing.",
    ),
    ("missing-key", "A key that is needed is not there."),
    ("wrong-type", "The value has another kind than the one expected: a list where a string belongs, for example."),
    ("wrong-value", "The value has the right kind but is none of those that are known."),
    (
        "unsupported",
        "The file is valid, but asks for something this version does not do. It is refused by name, because running it in another way than you expect would be worse.",
    ),
];

/// Explains one code, or lists them.
pub(crate) fn explain(code: Option<&str>) -> Result<(), Failure> {
    let Some(code) = code else {
        for (code, text) in CODES {
            println!("{code:<20} {}", text.split_inclusive(". ").next().unwrap_or(text).trim());
        }
        return Ok(());
    };
    if let Some((_, text)) = CODES.iter().find(|(known, _)| *known == code) {
        println!("{text}");
        return Ok(());
    }
    let hint = nearest(code, CODES.iter().map(|c| c.0)).map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(usage(format!("no code {code:?} is known{hint}; lem explain lists them")))
}
