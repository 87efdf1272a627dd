//! File commands: `GITHUB_ENV`, `GITHUB_OUTPUT`, `GITHUB_STATE`, `GITHUB_PATH` and `GITHUB_STEP_SUMMARY`.
//!
//! `NAME=VALUE` when `=` comes before `<<`, else `NAME<<DELIMITER` up to a line that is exactly the delimiter; newlines
//! inside are kept.

use thiserror::Error;

/// Largest file a step may leave for one command.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Largest summary of a step.
pub const MAX_SUMMARY_BYTES: u64 = 1024 * 1024;
/// Outputs of one job together.
pub const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// What is wrong with such a file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FileCommandError {
    /// Neither `=` nor `<<`.
    #[error("line {line}: invalid format '{text}'; expected NAME=VALUE or NAME<<DELIMITER")]
    Format {
        /// Line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// No name before `=` or `<<`.
    #[error("line {line}: invalid format '{text}'; the name must not be empty")]
    NoName {
        /// Line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// No delimiter after `<<`.
    #[error("line {line}: invalid format '{text}'; the delimiter must not be empty")]
    NoDelimiter {
        /// Line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// The delimiter never comes.
    #[error("line {line}: matching delimiter '{delimiter}' not found")]
    Open {
        /// Line, from 1.
        line: usize,
        /// Delimiter.
        delimiter: String,
    },
    /// A variable that may not be set.
    #[error("line {line}: {name} may not be set")]
    Forbidden {
        /// Line, from 1.
        line: usize,
        /// Name.
        name: String,
    },
    /// The file is too large.
    #[error("the file has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// How large.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The file is no text.
    #[error("the file is not valid UTF-8")]
    NotText,
    /// The file is gone or cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

/// The names and values of such a file, in order.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, FileCommandError> {
    let mut pairs = vec![];
    let mut lines = text.split_inclusive('\n').enumerate();
    while let Some((index, raw)) = lines.next() {
        let text = bare(raw);
        let line = index + 1;
        if text.is_empty() {
            continue;
        }
        let (equals, heredoc) = (text.find('='), text.find("<<"));
        match (equals, heredoc) {
            (Some(at), other) if other.is_none_or(|h| at < h) => {
                let name = named(&text[..at], line, text)?;
                pairs.push((name, text[at + 1..].to_owned()));
            }
            (_, Some(at)) => {
                let name = named(&text[..at], line, text)?;
                let delimiter = &text[at + 2..];
                if delimiter.is_empty() {
                    return Err(FileCommandError::NoDelimiter { line, text: text.to_owned() });
                }
                pairs.push((name, heredoc_value(&mut lines, delimiter, line)?));
            }
            _ => return Err(FileCommandError::Format { line, text: text.to_owned() }),
        }
    }
    Ok(pairs)
}

fn bare(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn named(name: &str, line: usize, text: &str) -> Result<String, FileCommandError> {
    match name {
        "" => Err(FileCommandError::NoName { line, text: text.to_owned() }),
        name => Ok(name.to_owned()),
    }
}

fn heredoc_value<'a>(
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    delimiter: &str,
    line: usize,
) -> Result<String, FileCommandError> {
    let mut value = String::new();
    for (_, raw) in lines {
        if bare(raw) == delimiter {
            // The newline before the delimiter belongs to the delimiter.
            return Ok(bare(&value).to_owned());
        }
        value.push_str(raw);
    }
    Err(FileCommandError::Open { line, delimiter: delimiter.to_owned() })
}

/// The directories of a `GITHUB_PATH` file, in order.
pub fn paths(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// Variables of a `GITHUB_ENV` file: `NODE_OPTIONS` may not be among them.
pub fn variables(text: &str) -> Result<Vec<(String, String)>, FileCommandError> {
    let pairs = pairs(text)?;
    match pairs.iter().position(|(name, _)| name.eq_ignore_ascii_case("NODE_OPTIONS")) {
        Some(at) => Err(FileCommandError::Forbidden { line: at + 1, name: pairs[at].0.clone() }),
        None => Ok(pairs),
    }
}

/// Reads such a file, at most `limit` bytes; one that is gone is empty.
pub fn read(path: &std::path::Path, limit: u64) -> Result<String, FileCommandError> {
    let unreadable = |e: std::io::Error| FileCommandError::Unreadable(e.to_string());
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(unreadable(e)),
    };
    if !metadata.is_file() {
        return Err(FileCommandError::Unreadable("it is no longer a plain file".into()));
    }
    match metadata.len() {
        0 => return Ok(String::new()),
        bytes if bytes > limit => return Err(FileCommandError::TooLarge { bytes, limit }),
        _ => {}
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| FileCommandError::NotText)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(pairs(text).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn names_and_values() {
        check("", &[]);
        check("a=1\nb=two words\n", &[("a", "1"), ("b", "two words")]);
        check("a=x=y<<z\n", &[("a", "x=y<<z")]);
        check("a=\n\n\r\nb=2", &[("a", ""), ("b", "2")]);
        check("a<<EOF\none\ntwo\nEOF\nb=2\n", &[("a", "one\ntwo"), ("b", "2")]);
        check("a<<E\nE\n", &[("a", "")]);
        check("a<<E\n\n\nE\n", &[("a", "\n")]);
        check("a<<E=F\nx\nE=F\n", &[("a", "x")]);
        check("a<<EOF\r\none\r\nEOF\r\n", &[("a", "one")]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, message) in [
            ("ok=1\nnothing\n", "line 2: invalid format 'nothing'; expected NAME=VALUE or NAME<<DELIMITER"),
            ("=x\n", "line 1: invalid format '=x'; the name must not be empty"),
            ("<<E\n", "line 1: invalid format '<<E'; the name must not be empty"),
            ("a<<\n", "line 1: invalid format 'a<<'; the delimiter must not be empty"),
            ("a<<E\nx\n E\n", "line 1: matching delimiter 'E' not found"),
        ] {
            assert_eq!(pairs(text).unwrap_err().to_string(), message);
        }
        assert!(variables("NODE_OPTIONS=--require x\n").is_err());
    }

    #[test]
    fn a_file_has_a_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "12345").unwrap();
        assert_eq!(read(file.path(), 5).unwrap(), "12345");
        assert_eq!(read(file.path(), 4), Err(FileCommandError::TooLarge { bytes: 5, limit: 4 }));
        assert_eq!(read(std::path::Path::new("/nowhere/at/all"), 4).unwrap(), "");
    }
}
