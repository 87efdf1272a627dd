//! The pattern dialect of `branches`, `tags` and `paths`.
//!
//! `*` stops at `/`, `**` does not, `?` and `+` quantify the character before them, `[]` is a class, a leading `!`
//! negates (handled by the caller), `\` takes the next character as it is. A pattern matches the whole name.

/// Longest pattern that is tried.
pub const MAX_PATTERN_CHARS: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
enum One {
    Char(char),
    Class {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
    /// Anything but `/`.
    Segment,
    /// Anything.
    Any,
    /// No character: before the three items of `**/`, which also stands for no folder at all.
    Folders,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    Optional,
    Many,
    AnyNumber,
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<(One, Times)>,
}

impl Pattern {
    /// Reads a pattern without its leading `!`. The error is the message for its place.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_PATTERN_CHARS {
            return Err(format!("a pattern may have at most {MAX_PATTERN_CHARS} characters"));
        }
        let mut items: Vec<(One, Times)> = vec![];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let item = match c {
                '*' if chars.peek() == Some(&'*') => {
                    chars.next();
                    if chars.peek() == Some(&'/') && items.last().is_none_or(|(one, _)| *one == One::Char('/')) {
                        chars.next();
                        items.push((One::Folders, Times::Once));
                        items.push((One::Any, Times::AnyNumber));
                        (One::Char('/'), Times::Once)
                    } else {
                        (One::Any, Times::AnyNumber)
                    }
                }
                '*' => (One::Segment, Times::AnyNumber),
                '?' | '+' => {
                    let Some(last) = items.last_mut().filter(|(_, times)| *times == Times::Once) else {
                        return Err(format!("'{c}' must follow a character"));
                    };
                    last.1 = if c == '?' { Times::Optional } else { Times::Many };
                    continue;
                }
                '[' => (class(&mut chars)?, Times::Once),
                '\\' => (One::Char(chars.next().ok_or("a pattern may not end in '\\'")?), Times::Once),
                c => (One::Char(c), Times::Once),
            };
            items.push(item);
        }
        Ok(Self { items })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        // The set of items that may come next, moved over the name: linear in both lengths.
        let end = self.items.len();
        let mut states = vec![false; end + 1];
        states[0] = true;
        self.skip(&mut states);
        for c in name.chars() {
            let mut next = vec![false; end + 1];
            for (at, (one, times)) in self.items.iter().enumerate() {
                if !states[at] || !one.matches(c) {
                    continue;
                }
                next[at + 1] = true;
                if matches!(times, Times::Many | Times::AnyNumber) {
                    next[at] = true;
                }
            }
            states = next;
            self.skip(&mut states);
        }
        states[end]
    }

    fn skip(&self, states: &mut [bool]) {
        for (at, (one, times)) in self.items.iter().enumerate() {
            if states[at] && *one == One::Folders {
                states[at + 1] = true;
                states[at + 3] = true;
            }
            if states[at] && matches!(times, Times::Optional | Times::AnyNumber) {
                states[at + 1] = true;
            }
        }
    }
}

impl One {
    fn matches(&self, c: char) -> bool {
        match self {
            One::Char(own) => *own == c,
            One::Class { ranges, negated } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
            One::Segment => c != '/',
            One::Any => true,
            One::Folders => false,
        }
    }
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<One, String> {
    let negated = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
    let mut ranges: Vec<(char, char)> = vec![];
    loop {
        let from = match chars.next() {
            None => return Err("'[' is not closed".to_owned()),
            Some(']') if ranges.is_empty() => return Err("'[]' is empty".to_owned()),
            Some(']') => return Ok(One::Class { ranges, negated }),
            Some(c) => c,
        };
        let is_range = chars.peek() == Some(&'-') && chars.clone().nth(1).is_some_and(|next| next != ']');
        let to = if is_range { chars.nth(1).unwrap_or(from) } else { from };
        if to < from {
            return Err(format!("'{from}-{to}' is not a range"));
        }
        ranges.push((from, to));
    }
}
