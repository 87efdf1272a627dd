//! Hides secrets in what jobs and services say (boxes 2 and 3 of the workflow).
//!
//! In: values of secrets, lines as they come. Out: the same lines with every secret covered. It does no IO and knows no
//! stage; a line that was cut before it came here may hold a part of a secret, so cut afterwards.
//!
//! Each secret is looked for as it is, line by line, and in the encodings it is most often printed in. All occurrences
//! are found, overlapping ones too, and each covered stretch becomes `***`.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands where a secret was.
pub const MASK: &[u8] = b"***";
/// Secrets a run may know.
pub const MAX_SECRETS: usize = 10_000;
/// Shortest derived form that is hidden: shorter ones would hide half of every log.
const MIN_DERIVED: usize = 4;

/// Hides secrets.
#[derive(Clone, Debug, Default)]
pub struct Masker {
    forms: BTreeSet<Vec<u8>>,
    search: Option<AhoCorasick>,
    longest: usize,
    secrets: usize,
}

/// Why a secret is not hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmaskable {
    /// There is nothing to hide.
    Empty,
    /// There are [`MAX_SECRETS`] already.
    TooMany,
}

impl Masker {
    /// Hides these values.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut masker = Self::default();
        for secret in secrets {
            let _ = masker.learn(secret);
        }
        masker.build();
        masker
    }

    /// Hides one more value.
    pub fn add(&mut self, secret: &str) -> Result<(), Unmaskable> {
        self.learn(secret)?;
        self.build();
        Ok(())
    }

    fn learn(&mut self, secret: &str) -> Result<(), Unmaskable> {
        if secret.trim().is_empty() {
            return Err(Unmaskable::Empty);
        }
        if self.secrets >= MAX_SECRETS {
            return Err(Unmaskable::TooMany);
        }
        self.secrets += 1;
        self.forms.extend(forms(secret));
        Ok(())
    }

    fn build(&mut self) {
        self.longest = self.forms.iter().map(Vec::len).max().unwrap_or(0);
        let builder = AhoCorasickBuilder::new().match_kind(MatchKind::Standard).build(&self.forms);
        // Building fails only beyond 2^31 states; a log is then refused as a whole rather than shown.
        self.search = (!self.forms.is_empty()).then(|| builder.expect("secrets are limited far below the limit"));
    }

    /// Bytes of the longest form that is hidden.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The text with every secret hidden.
    pub fn mask<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let ranges = self.ranges(text);
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in ranges {
            masked.extend_from_slice(&text[at..start]);
            masked.extend_from_slice(MASK);
            at = end;
        }
        masked.extend_from_slice(&text[at..]);
        Cow::Owned(masked)
    }

    /// The same for text; a mask is valid text.
    pub fn mask_str(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask(text.as_bytes())).into_owned()
    }

    fn ranges(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let Some(search) = &self.search else { return vec![] };
        let mut merged: Vec<(usize, usize)> = vec![];
        for found in search.find_overlapping_iter(text) {
            let (mut start, mut end) = (found.start(), found.end());
            // Matches come by their ends, so a longer one may cover several before it.
            while let Some((s, e)) = merged.last().copied().filter(|(_, e)| *e > start) {
                (start, end) = (start.min(s), end.max(e));
                merged.pop();
            }
            merged.push((start, end));
        }
        merged
    }

    /// Where a text that goes on may be cut, at most at `limit`, so that no secret is cut in two.
    pub fn safe_cut(&self, text: &[u8], limit: usize) -> usize {
        let limit = limit.min(text.len());
        let cut = limit.saturating_sub(self.longest.saturating_sub(1));
        let whole = self.ranges(&text[..limit]).into_iter().find(|(start, end)| *start < cut && *end > cut);
        match whole {
            Some((0, end)) => end,
            Some((start, _)) => start,
            None if cut == 0 => limit,
            None => cut,
        }
    }
}

/// Every form a secret is looked for in.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut whole = vec![secret.as_bytes().to_vec()];
    let trimmed = secret.trim();
    if trimmed != secret {
        whole.push(trimmed.as_bytes().to_vec());
    }
    let lines = secret.lines().map(str::trim).filter(|line| !line.is_empty());
    if secret.contains('\n') {
        whole.extend(lines.filter(|line| line.len() >= MIN_DERIVED).map(|line| line.as_bytes().to_vec()));
    }
    let mut all = whole.clone();
    for text in [secret, trimmed] {
        let mut derived = base64_forms(text.as_bytes());
        derived.push(url_form(text.as_bytes()).into_bytes());
        derived.push(serde_json::to_string(text).unwrap_or_default().trim_matches('"').as_bytes().to_vec());
        all.extend(derived.into_iter().filter(|form| form.len() >= MIN_DERIVED));
    }
    all
}

/// Base64 of the secret at each of its three positions in a longer text, the ends that depend on neighbours left out.
fn base64_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut all = vec![];
    for shift in 0..3_usize {
        let bits = |index: usize| -> u8 {
            let byte = secret[index / 8];
            (byte >> (7 - index % 8)) & 1
        };
        // The first whole sextet at or after the start of the secret, in a text where `shift` bytes precede it.
        let skip = (6 - (shift * 8) % 6) % 6;
        let count = (secret.len() * 8).saturating_sub(skip) / 6;
        let sextet = |n: usize| (0..6).fold(0_usize, |value, bit| value << 1 | usize::from(bits(skip + n * 6 + bit)));
        let standard: Vec<u8> = (0..count).map(|n| STANDARD[sextet(n)]).collect();
        let url: Vec<u8> = standard
            .iter()
            .map(|b| match b {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            })
            .collect();
        if url != standard {
            all.push(url);
        }
        all.push(standard);
    }
    all
}

fn url_form(secret: &[u8]) -> String {
    let mut text = String::new();
    for byte in secret {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secrets: &[&str], text: &str, expected: &str) {
        assert_eq!(Masker::new(secrets.iter().copied()).mask_str(text), expected, "{secrets:?} in {text}");
    }

    #[test]
    fn secrets_are_hidden_in_every_form() {
        check(&[], "open", "open");
        check(&["hunter2!"], "pass hunter2! end", "pass *** end");
        check(&["hunter2!"], "hunter2%21", "***");
        check(&["abc", "bcd"], "xabcdx", "x***x");
        check(&["ab", "abcdef"], "abcdef", "***");
        check(&["line one\nline two\n"], "line two", "***");
        check(&["quote\"inside"], "{\"k\":\"quote\\\"inside\"}", "{\"k\":\"***\"}");
        check(&["  padded  "], "padded", "***");
    }

    #[test]
    fn base64_is_hidden_at_every_position() {
        // printf 's3cr3t-value' | base64, and with one and two bytes in front.
        for (encoded, expected) in
            [("czNjcjN0LXZhbHVl", "***"), ("eHMzY3IzdC12YWx1ZQ==", "eH***Q=="), ("eHhzM2NyM3QtdmFsdWU=", "eHh***U=")]
        {
            check(&["s3cr3t-value"], encoded, expected);
        }
    }

    #[test]
    fn empty_secrets_are_refused_and_the_number_is_limited() {
        let mut masker = Masker::default();
        assert_eq!(masker.add(" \n"), Err(Unmaskable::Empty));
        masker.secrets = MAX_SECRETS;
        assert_eq!(masker.add("one more"), Err(Unmaskable::TooMany));
    }

    #[test]
    fn a_cut_never_goes_through_a_secret() {
        let masker = Masker::new(["secret-value"]);
        let text = b"xxxxxxxxxxxxsecret-valueyyyyyyyyyyyyyyyyyyyyyyyy";
        for limit in 1..text.len() {
            let cut = masker.safe_cut(text, limit);
            assert!(cut > 0 && cut <= limit, "limit {limit} cut {cut}");
            if limit >= 24 {
                assert!(!(13..24).contains(&cut), "limit {limit} cuts the secret at {cut}");
            }
        }
    }
}
