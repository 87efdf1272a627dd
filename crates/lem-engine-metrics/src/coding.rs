//! Variable-length integers (LEB128, zigzag) and a bounds-checked reader for our own files.

/// Bytes that should have been there are not, or a number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, ((n << 1) ^ (n >> 63)) as u64);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads from the front of a byte slice.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Truncated> {
        Ok(self.bytes(1)?[0])
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Truncated> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Truncated> {
        Ok(u32::from_le_bytes(self.bytes(4)?.try_into().expect("four bytes")))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Truncated> {
        Ok(u64::from_le_bytes(self.bytes(8)?.try_into().expect("eight bytes")))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Truncated> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Truncated)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Truncated> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// A count of things that take at least one byte each, so that a damaged count cannot reserve much memory.
    pub(crate) fn count(&mut self) -> Result<usize, Truncated> {
        let n = self.varint()? as usize;
        if n > self.0.len() { Err(Truncated) } else { Ok(n) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Truncated> {
        let n = self.count()?;
        std::str::from_utf8(self.bytes(n)?).map_err(|_| Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(a: u64, b: i64, text: String) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, a);
            put_signed(&mut bytes, b);
            put_text(&mut bytes, &text);
            let mut read = Reader(&bytes);
            prop_assert_eq!(read.varint(), Ok(a));
            prop_assert_eq!(read.signed(), Ok(b));
            prop_assert_eq!(read.text(), Ok(text.as_str()));
            prop_assert!(read.is_empty());
        }
    }
}
