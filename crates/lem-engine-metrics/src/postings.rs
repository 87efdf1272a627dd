//! Which series match: set algebra over an inverted index of label pairs.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::error::StoreError;
use crate::matcher::Matcher;

/// An inverted index, in memory or in a block.
pub(crate) trait Index {
    /// Every series.
    fn all(&self) -> Result<RoaringTreemap, StoreError>;
    /// Series with exactly this label pair.
    fn pair(&self, name: &str, value: &str) -> Result<RoaringTreemap, StoreError>;
    /// Series that have the label with a value that the test accepts.
    fn where_value(&self, name: &str, accept: &dyn Fn(&str) -> bool) -> Result<RoaringTreemap, StoreError>;
}

/// The series that satisfy all matchers.
pub(crate) fn resolve<I: Index>(index: &I, matchers: &[Matcher]) -> Result<RoaringTreemap, StoreError> {
    let mut found: Option<RoaringTreemap> = None;
    // A matcher that accepts the empty text cannot start from its postings: absent labels count as empty.
    let (excluding, including): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches(""));
    for matcher in including {
        let set = having(index, matcher)?;
        found = Some(match found {
            Some(so_far) => so_far & set,
            None => set,
        });
        if found.as_ref().is_some_and(RoaringTreemap::is_empty) {
            return Ok(RoaringTreemap::new());
        }
    }
    let mut found = match found {
        Some(found) => found,
        None => index.all()?,
    };
    for matcher in excluding {
        found -= lacking(index, matcher)?;
    }
    Ok(found)
}

/// Series whose label is present and accepted.
fn having<I: Index>(index: &I, matcher: &Matcher) -> Result<RoaringTreemap, StoreError> {
    match matcher.texts() {
        Some(texts) if !matcher.is_negative() => {
            let mut set = RoaringTreemap::new();
            for text in texts {
                set |= index.pair(matcher.name(), text)?;
            }
            Ok(set)
        }
        _ => index.where_value(matcher.name(), &|value| matcher.matches(value)),
    }
}

/// Series whose label is present and refused.
fn lacking<I: Index>(index: &I, matcher: &Matcher) -> Result<RoaringTreemap, StoreError> {
    match matcher.texts() {
        Some([text]) if matcher.is_negative() => index.pair(matcher.name(), text),
        _ => index.where_value(matcher.name(), &|value| !matcher.matches(value)),
    }
}

/// The index of the head. Its keys are also the interned label texts.
#[derive(Debug, Default)]
pub(crate) struct MemIndex {
    pub(crate) names: BTreeMap<Arc<str>, BTreeMap<Arc<str>, RoaringTreemap>>,
    all: RoaringTreemap,
}

impl MemIndex {
    /// The stored copy of a label pair, if there is one.
    pub(crate) fn intern(&self, name: &Arc<str>, value: &Arc<str>) -> (Arc<str>, Arc<str>) {
        match self.names.get_key_value(name) {
            Some((name, values)) => {
                let value = values.get_key_value(value).map_or(value, |(v, _)| v);
                (name.clone(), value.clone())
            }
            None => (name.clone(), value.clone()),
        }
    }

    pub(crate) fn insert(&mut self, id: u64, pairs: &[(Arc<str>, Arc<str>)]) {
        self.all.insert(id);
        for (name, value) in pairs {
            self.names.entry(name.clone()).or_default().entry(value.clone()).or_default().insert(id);
        }
    }

    pub(crate) fn remove(&mut self, id: u64, pairs: &[(Arc<str>, Arc<str>)]) {
        self.all.remove(id);
        for (name, value) in pairs {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(set) = values.get_mut(value) {
                set.remove(id);
                if set.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }
}

impl Index for MemIndex {
    fn all(&self) -> Result<RoaringTreemap, StoreError> {
        Ok(self.all.clone())
    }

    fn pair(&self, name: &str, value: &str) -> Result<RoaringTreemap, StoreError> {
        Ok(self.names.get(name).and_then(|values| values.get(value)).cloned().unwrap_or_default())
    }

    fn where_value(&self, name: &str, accept: &dyn Fn(&str) -> bool) -> Result<RoaringTreemap, StoreError> {
        let mut set = RoaringTreemap::new();
        for (_, ids) in self.names.get(name).into_iter().flatten().filter(|(value, _)| accept(value)) {
            set |= ids;
        }
        Ok(set)
    }
}
