//! Label sets: sorted, unique, without empty values, cheap to clone.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

/// The label that carries the metric name.
pub const METRIC_NAME: &str = "__name__";
/// Most labels one series may have.
pub const MAX_LABELS: usize = 128;
/// Longest label name or value, in bytes.
pub const MAX_LABEL_BYTES: usize = 64 * 1024;

/// One label as stored: shared name, shared value.
pub(crate) type Pair = (Arc<str>, Arc<str>);

/// The identity of a series: label pairs sorted by name.
///
/// A label with an empty value is the same as an absent one, so it is never stored.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Pair]>);

/// Why a set of pairs is not a label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// The same name twice.
    #[error("label {0:?} is given twice")]
    Duplicate(String),
    /// A name of length zero.
    #[error("a label name is empty")]
    EmptyName,
    /// More than [`MAX_LABELS`] labels.
    #[error("{0} labels, at most {MAX_LABELS} are allowed")]
    TooMany(usize),
    /// A name or value longer than [`MAX_LABEL_BYTES`].
    #[error("label {name:?} has {bytes} bytes, at most {MAX_LABEL_BYTES} are allowed")]
    TooLong {
        /// The label's name, shortened.
        name: String,
        /// The length found.
        bytes: usize,
    },
}

impl Labels {
    /// The empty label set.
    pub fn empty() -> Labels {
        Labels(Arc::from([]))
    }

    /// Sorts the pairs and drops those with an empty value.
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Labels, LabelsError>
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut out = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            check_pair(&name, &value)?;
            out.push((name, value));
        }
        out.sort();
        if let Some(twice) = out.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(LabelsError::Duplicate(twice[0].0.to_string()));
        }
        out.retain(|(_, value)| !value.is_empty());
        if out.len() > MAX_LABELS {
            return Err(LabelsError::TooMany(out.len()));
        }
        Ok(Labels(out.into()))
    }

    /// Pairs that are already sorted, unique and not empty, such as those read back from our own files.
    pub(crate) fn from_sorted(pairs: Vec<Pair>) -> Labels {
        debug_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0));
        Labels(pairs.into())
    }

    /// The value of a label, if it is present.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }

    /// The value of a label; absent is empty.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric name; absent is empty.
    pub fn metric(&self) -> &str {
        self.value(METRIC_NAME)
    }

    /// All pairs in name order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the empty label set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn pairs(&self) -> &[Pair] {
        &self.0
    }

    /// A 64-bit hash, stable for one build of the store. Collisions are handled where it is used.
    pub fn hash64(&self) -> u64 {
        let mut hash = Xxh3::new();
        for (name, value) in self.0.iter() {
            // 0xff occurs in no UTF-8 text, so that it separates without doubt.
            hash.update(name.as_bytes());
            hash.update(&[0xff]);
            hash.update(value.as_bytes());
            hash.update(&[0xff]);
        }
        hash.digest()
    }
}

fn check_pair(name: &str, value: &str) -> Result<(), LabelsError> {
    if name.is_empty() {
        return Err(LabelsError::EmptyName);
    }
    let bytes = name.len().max(value.len());
    if bytes > MAX_LABEL_BYTES {
        let name = name.chars().take(40).collect();
        return Err(LabelsError::TooLong { name, bytes });
    }
    Ok(())
}

/// The notation of selectors: `name{label="value"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        let mut rest = self.iter().filter(|(name, _)| *name != METRIC_NAME).peekable();
        if rest.peek().is_none() && !self.metric().is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sorted_unique_without_empty_values() {
        let labels = Labels::new([("job", "api"), ("zone", ""), ("__name__", "up")]).unwrap();
        assert_eq!(labels.to_string(), r#"up{job="api"}"#);
        assert_eq!(labels.get("zone"), None);
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn bad_sets_are_named() {
        let check = |pairs: Vec<(String, String)>, expect: &str| {
            assert_eq!(Labels::new(pairs).unwrap_err().to_string(), expect);
        };
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        check(vec![pair("a", "1"), pair("a", "2")], "label \"a\" is given twice");
        check(vec![pair("", "1")], "a label name is empty");
        let many = (0..=MAX_LABELS).map(|i| (format!("l{i:03}"), "x".to_owned())).collect();
        check(many, "129 labels, at most 128 are allowed");
        let long = "v".repeat(MAX_LABEL_BYTES + 1);
        check(vec![pair("a", &long)], "label \"a\" has 65537 bytes, at most 65536 are allowed");
    }
}
