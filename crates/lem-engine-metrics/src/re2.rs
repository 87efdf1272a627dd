//! Translation of RE2 syntax (<https://github.com/google/re2/wiki/Syntax>) to the `regex` crate's.
//!
//! The dialects differ in four places that users meet: `\Q..\E` quoting; `\d \w \s` are ASCII in RE2; a `[` inside a
//! class is a plain character; and `&&`, `--`, `~~` inside a class are plain characters too.

/// Rewrites the pattern so that the `regex` crate reads it as RE2 would.
pub(crate) fn translate(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len() + 8);
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape(&mut out, rest, Place::Outside)?,
            '[' => class(&mut out, rest)?,
            _ => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    Ok(out)
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Outside,
    InClass,
}

/// `rest` starts with a backslash.
fn escape<'a>(out: &mut String, rest: &'a str, place: Place) -> Result<&'a str, String> {
    let Some(c) = rest[1..].chars().next() else {
        return Err("trailing backslash at end of expression".to_owned());
    };
    let after = &rest[1 + c.len_utf8()..];
    if c == 'Q' && place == Place::Outside {
        let (quoted, after) = after.split_once(r"\E").unwrap_or((after, ""));
        out.push_str(&regex::escape(quoted));
        return Ok(after);
    }
    match ascii_class(c, place) {
        Some(text) => out.push_str(text),
        None => {
            out.push('\\');
            out.push(c);
        }
    }
    Ok(after)
}

fn ascii_class(c: char, place: Place) -> Option<&'static str> {
    Some(match (c, place) {
        ('d', Place::Outside) => "[0-9]",
        ('d', Place::InClass) => "0-9",
        ('w', Place::Outside) => "[0-9A-Za-z_]",
        ('w', Place::InClass) => "0-9A-Za-z_",
        ('s', Place::Outside) => r"[\t\n\f\r ]",
        ('s', Place::InClass) => r"\t\n\f\r ",
        ('D', _) => "[^0-9]",
        ('W', _) => "[^0-9A-Za-z_]",
        ('S', _) => r"[^\t\n\f\r ]",
        ('b', Place::Outside) => r"(?-u:\b)",
        _ => return None,
    })
}

/// `rest` starts with the opening bracket.
fn class<'a>(out: &mut String, rest: &'a str) -> Result<&'a str, String> {
    out.push('[');
    let mut rest = &rest[1..];
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str(r"\]"); // a bracket right after the opening one is a plain character
        rest = after;
    }
    loop {
        let Some(c) = rest.chars().next() else {
            return Err("missing closing ]".to_owned());
        };
        rest = match c {
            ']' => {
                out.push(']');
                return Ok(&rest[1..]);
            }
            '\\' => escape(out, rest, Place::InClass)?,
            '[' => bracket(out, rest),
            '&' | '~' => {
                out.push('\\');
                out.push(c);
                &rest[1..]
            }
            _ => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
}

/// A named class such as `[:alpha:]` stays; any other bracket is a plain character.
fn bracket<'a>(out: &mut String, rest: &'a str) -> &'a str {
    if rest.starts_with("[:")
        && let Some(end) = rest.find(":]")
    {
        out.push_str(&rest[..end + 2]);
        return &rest[end + 2..];
    }
    out.push_str(r"\[");
    &rest[1..]
}
