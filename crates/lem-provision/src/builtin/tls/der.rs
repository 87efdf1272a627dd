//! As much of DER as keys need: X.690 sections 8.1 to 8.3, definite lengths only.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;
pub(super) const BYTES: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]` and `[1]`, explicit.
pub(super) const CONTEXT: [u8; 2] = [0xa0, 0xa1];
/// NULL with its length.
pub(super) const NULL: [u8; 2] = [0x05, 0x00];

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|b| *b != 0).unwrap_or(length.len() - 1)..];
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        out.push(0x80 | digits.len() as u8);
        out.extend(digits);
    }
    out.extend(content);
    out
}

/// A sequence of elements.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A number that is not negative, from its digits in base 256.
pub(super) fn number(digits: &[u8]) -> Vec<u8> {
    element(INTEGER, &signed(digits))
}

/// Digits with as many leading zeros as a signed number needs: also the form of SSH's mpint.
pub(super) fn signed(digits: &[u8]) -> Vec<u8> {
    let digits = plain(digits);
    let mut out = vec![];
    if digits.first().is_some_and(|b| *b >= 0x80) {
        out.push(0);
    }
    out.extend(digits);
    out
}

/// Digits without leading zeros.
pub(super) fn plain(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().position(|b| *b != 0).unwrap_or(digits.len())..]
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Content of the next element, when it has this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.len() > 4 || digits.is_empty() {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        if *found != tag {
            return None;
        }
        self.0 = rest;
        Some(content)
    }

    /// The elements of a sequence.
    pub(super) fn sequence(&mut self) -> Option<Reader<'a>> {
        self.take(SEQUENCE).map(Reader)
    }

    /// Digits of a number that is not negative.
    pub(super) fn number(&mut self) -> Option<&'a [u8]> {
        self.take(INTEGER).map(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_they_are_written() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let written = element(BYTES, &content);
            let mut reader = Reader(&written);
            assert_eq!(reader.take(BYTES), Some(content.as_slice()), "{length}");
            assert!(reader.0.is_empty());
        }
        assert_eq!(number(&[0, 0x80]), [INTEGER, 2, 0, 0x80]);
        assert_eq!(Reader(&number(&[0, 5])).number(), Some([5].as_slice()));
        for wrong in [&[0x04_u8, 5, 1][..], &[0x04, 0x80], &[0x04, 0x85, 1, 1, 1, 1, 1], &[0x30], &[]] {
            assert_eq!(Reader(wrong).take(BYTES), None, "{wrong:?}");
        }
    }
}
