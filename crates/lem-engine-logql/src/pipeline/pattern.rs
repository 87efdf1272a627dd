//! Patterns: literal text and captures. `<name>` captures, `<_>` matches and forgets.

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    /// A name, or `None` for `<_>`.
    Capture(Option<String>),
}

impl Pattern {
    /// For the `pattern` parser: at least one named capture, and none directly behind another.
    pub(super) fn parser(text: &str) -> Result<Self, String> {
        let pattern = Self { pieces: split(text)? };
        let named: Vec<_> = pattern
            .pieces
            .iter()
            .filter_map(|p| if let Piece::Capture(Some(n)) = p { Some(n) } else { None })
            .collect();
        if named.is_empty() {
            return Err("at least one named capture is required".to_owned());
        }
        if let Some(twice) = named.iter().enumerate().find(|(i, n)| named[..*i].contains(n)) {
            return Err(format!("capture <{}> occurs twice", twice.1));
        }
        Ok(pattern)
    }

    /// For `|>` and `!>`: no named captures.
    pub(super) fn filter(text: &str) -> Result<Self, String> {
        let pattern = Self { pieces: split(text)? };
        if pattern.pieces.iter().any(|p| matches!(p, Piece::Capture(Some(_)))) {
            return Err("only <_> is allowed in a pattern filter".to_owned());
        }
        Ok(pattern)
    }

    /// Captures in order; reading stops where the text does not match.
    pub(super) fn captures<'a>(&'a self, line: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
        let mut found = Vec::new();
        let mut rest = line;
        let mut pieces = self.pieces.iter().peekable();
        if let Some(Piece::Text(text)) = pieces.peek() {
            let Some(after) = rest.strip_prefix(text.as_slice()) else { return found };
            rest = after;
            pieces.next();
        }
        while let Some(piece) = pieces.next() {
            let Piece::Capture(name) = piece else { continue };
            let (value, after, stop) = match pieces.next() {
                Some(Piece::Text(text)) => match memchr::memmem::find(rest, text) {
                    Some(at) => (&rest[..at], &rest[at + text.len()..], false),
                    None => (rest, &rest[rest.len()..], true),
                },
                _ => (rest, &rest[rest.len()..], true),
            };
            if let Some(name) = name {
                found.push((name.as_str(), value));
            }
            rest = after;
            if stop {
                break;
            }
        }
        found
    }

    /// The whole line has this shape: a pattern that begins or ends with text is anchored there, `<_>` is any text.
    pub(super) fn matches(&self, line: &[u8]) -> bool {
        let Some(last) = self.pieces.last() else { return line.is_empty() };
        let mut rest = line;
        let mut floating = false;
        for (at, piece) in self.pieces.iter().enumerate() {
            let is_last = at + 1 == self.pieces.len();
            match piece {
                Piece::Capture(_) => floating = true,
                Piece::Text(text) if !floating => {
                    let Some(after) = rest.strip_prefix(text.as_slice()) else { return false };
                    rest = after;
                }
                Piece::Text(text) if is_last => return rest.ends_with(text),
                Piece::Text(text) => {
                    let Some(found) = memchr::memmem::find(rest, text) else { return false };
                    rest = &rest[found + text.len()..];
                    floating = false;
                }
            }
        }
        matches!(last, Piece::Capture(_)) || rest.is_empty()
    }
}

/// The texts between the captures of a pattern filter.
pub(crate) fn literal_pieces(text: &str) -> Vec<Vec<u8>> {
    let pieces = split(text).unwrap_or_default();
    pieces.into_iter().filter_map(|p| if let Piece::Text(text) = p { Some(text) } else { None }).collect()
}

fn split(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((name, after)) = capture_at(rest) {
            if matches!(pieces.last(), Some(Piece::Capture(_))) {
                return Err("two captures need text between them".to_owned());
            }
            pieces.push(Piece::Capture(Some(name.to_owned()).filter(|n| n != "_")));
            rest = after;
            continue;
        }
        let c = rest.chars().next().unwrap_or_default();
        let (one, after) = rest.split_at(c.len_utf8());
        match pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(one.as_bytes()),
            _ => pieces.push(Piece::Text(one.as_bytes().to_vec())),
        }
        rest = after;
    }
    if pieces.is_empty() { Err("the pattern is empty".to_owned()) } else { Ok(pieces) }
}

fn capture_at(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>')?;
    let name = &inner[..end];
    let first = name.chars().next()?;
    let named =
        (first.is_ascii_alphabetic() || first == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    named.then(|| (name, &inner[end + 1..]))
}
