//! A row of the ledger and its leaf: RFC 8785 JSON of string fields.

use crate::db::{Row, Value};
use crate::tree::{self, Hash};
use crate::{LedgerError, log::MAX_PAYLOAD_BYTES};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use lem_model::{Event, EventType, NewEvent, Seq};
use sha2::Sha256;
use std::fmt::Write as _;

/// Bytes of a leaf: entry bundles of C2SP tlog-tiles write its length in 16 bits.
pub const MAX_LEAF_BYTES: usize = 65_535;
/// Version of the leaf format, field `v`.
const LEAF_VERSION: &str = "1";

/// An event as its row says it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: Seq,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) time_occurred: String,
    pub(crate) time_received: String,
    pub(crate) source: String,
    pub(crate) subject: String,
    pub(crate) chain: Option<String>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) salt: Option<Vec<u8>>,
    pub(crate) commitment: Vec<u8>,
    pub(crate) leaf_hash: Vec<u8>,
}

/// Time as columns and leaves write it: always nine digits, so that text sorts like time.
pub(crate) fn stamp(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// `HMAC-SHA-256(salt, payload bytes as stored)`.
pub(crate) fn commit(salt: &[u8], payload: &[u8]) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
    mac.update(payload);
    mac.finalize().into_bytes().into()
}

/// A string as RFC 8785 section 3.2.2.2 writes it.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl Stored {
    /// Takes an event in: checks it, salts it and commits to its payload. `seq`, receipt time and leaf come later.
    pub(crate) fn prepare(event: &NewEvent) -> Result<Self, LedgerError> {
        let wrong = |why: String| LedgerError::Invalid { id: event.id.clone(), source_name: event.source.clone(), why };
        for (name, text) in [("id", &event.id), ("source", &event.source)] {
            if text.is_empty() {
                return Err(wrong(format!("{name} is empty")));
            }
        }
        let fields = [event.id.as_str(), event.kind.as_str(), &event.source, &event.subject];
        if fields.into_iter().chain(event.chain.as_deref()).any(|text| text.contains('\0')) {
            return Err(wrong("a field contains a zero character".into()));
        }
        let payload = serde_json::to_vec(&event.payload).map_err(|e| wrong(e.to_string()))?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(wrong(format!("document of {} bytes is over {MAX_PAYLOAD_BYTES}", payload.len())));
        }
        let salt: [u8; 32] = rand::random();
        let stored = Self {
            seq: i64::MAX as u64,
            id: event.id.clone(),
            kind: event.kind.as_str().to_owned(),
            time_occurred: stamp(event.time_occurred),
            time_received: stamp(event.time_occurred),
            source: event.source.clone(),
            subject: event.subject.clone(),
            chain: event.chain.clone(),
            commitment: commit(&salt, &payload).to_vec(),
            payload: Some(payload),
            salt: Some(salt.to_vec()),
            leaf_hash: Vec::new(),
        };
        let leaf_bytes = stored.leaf().len();
        if leaf_bytes > MAX_LEAF_BYTES {
            return Err(wrong(format!("its leaf of {leaf_bytes} bytes is over {MAX_LEAF_BYTES}")));
        }
        Ok(stored)
    }

    /// The leaf: keys in the order RFC 8785 section 3.2.3 sorts them; no `chain` when there is none.
    pub(crate) fn leaf(&self) -> String {
        let mut out = String::with_capacity(420 + self.id.len() + self.source.len() + self.subject.len());
        out.push('{');
        if let Some(chain) = &self.chain {
            out.push_str("\"chain\":");
            quote(&mut out, chain);
            out.push(',');
        }
        let _ = write!(out, "\"commitment\":\"{}\",\"id\":", hex::encode(&self.commitment));
        quote(&mut out, &self.id);
        let _ = write!(out, ",\"seq\":\"{}\",\"source\":", self.seq);
        quote(&mut out, &self.source);
        out.push_str(",\"subject\":");
        quote(&mut out, &self.subject);
        out.push_str(",\"time_occurred\":");
        quote(&mut out, &self.time_occurred);
        out.push_str(",\"time_received\":");
        quote(&mut out, &self.time_received);
        out.push_str(",\"type\":");
        quote(&mut out, &self.kind);
        let _ = write!(out, ",\"v\":\"{LEAF_VERSION}\"}}");
        out
    }

    /// Gives the row its place; from here on its leaf is fixed.
    pub(crate) fn place(&mut self, seq: Seq, received: &str) -> String {
        self.seq = seq;
        received.clone_into(&mut self.time_received);
        let leaf = self.leaf();
        self.leaf_hash = tree::leaf_hash(leaf.as_bytes()).to_vec();
        leaf
    }

    /// The row of [`crate::sql::COLUMNS`].
    pub(crate) fn values(&self) -> Row {
        let text = |t: &String| Value::Text(t.clone());
        vec![
            Value::Int(self.seq as i64),
            text(&self.id),
            text(&self.kind),
            text(&self.time_occurred),
            text(&self.time_received),
            text(&self.source),
            text(&self.subject),
            self.chain.clone().map_or(Value::Null, Value::Text),
            Value::Blob(self.payload.clone().unwrap_or_default()),
            Value::Blob(self.salt.clone().unwrap_or_default()),
            Value::Blob(self.commitment.clone()),
            Value::Blob(self.leaf_hash.clone()),
        ]
    }

    /// Reads a row of [`crate::sql::COLUMNS`].
    pub(crate) fn of(row: Row) -> Self {
        let mut columns = row.into_iter();
        let mut next = || columns.next().unwrap_or(Value::Null);
        Self {
            seq: next().int() as u64,
            id: next().text(),
            kind: next().text(),
            time_occurred: next().text(),
            time_received: next().text(),
            source: next().text(),
            subject: next().text(),
            chain: next().maybe_text(),
            payload: next().maybe_blob(),
            salt: next().maybe_blob(),
            commitment: next().blob(),
            leaf_hash: next().blob(),
        }
    }

    /// What is wrong with the row itself, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        match (&self.payload, &self.salt) {
            (Some(payload), Some(salt)) if commit(salt, payload)[..] != self.commitment[..] => {
                return Some("payload does not match its commitment".into());
            }
            (Some(_), None) | (None, Some(_)) => return Some("payload or salt is missing".into()),
            _ => {}
        }
        (tree::leaf_hash(self.leaf().as_bytes())[..] != self.leaf_hash[..])
            .then(|| "columns do not match the leaf hash".into())
    }

    /// The event.
    pub(crate) fn event(self) -> Result<Event, LedgerError> {
        let seq = self.seq;
        let wrong = |what: &str, why: String| LedgerError::malformed(format!("{what} of event {seq}"), why);
        let time = |what: &str, text: &str| text.parse::<Timestamp>().map_err(|e| wrong(what, e.to_string()));
        let payload = match &self.payload {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|e| wrong("payload", e.to_string()))?,
            None => serde_json::Value::Null,
        };
        Ok(Event {
            seq,
            time_occurred: time("time_occurred", &self.time_occurred)?,
            time_received: time("time_received", &self.time_received)?,
            id: self.id,
            kind: EventType::new(self.kind),
            source: self.source,
            subject: self.subject,
            chain: self.chain,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_leaf_is_canonical_json_of_string_fields() {
        let event = NewEvent {
            id: "e \"1\"\n\u{1}é€😀".into(),
            kind: EventType::new("t"),
            time_occurred: Timestamp::UNIX_EPOCH,
            source: "/s\\\t".into(),
            subject: "x".into(),
            chain: Some("c".into()),
            payload: serde_json::json!({"a": 1}),
        };
        for chain in [Some("c".to_owned()), None] {
            let mut row = Stored::prepare(&NewEvent { chain, ..event.clone() }).unwrap();
            let leaf = row.place(7, "1970-01-01T00:00:00.000000000Z");
            let parsed: serde_json::Value = serde_json::from_str(&leaf).unwrap();
            assert_eq!(serde_json_canonicalizer::to_string(&parsed).unwrap(), leaf);
            assert!(parsed.as_object().unwrap().values().all(serde_json::Value::is_string));
            assert_eq!(parsed["seq"], "7");
            assert_eq!(parsed["time_occurred"], "1970-01-01T00:00:00.000000000Z");
            assert_eq!(row.fault(), None);
        }
    }

    #[test]
    fn a_leaf_over_sixteen_bits_of_length_is_refused() {
        let event = |length| NewEvent {
            id: "e".into(),
            kind: EventType::new("t"),
            time_occurred: Timestamp::UNIX_EPOCH,
            source: "/s".into(),
            subject: "x".repeat(length),
            chain: None,
            payload: serde_json::Value::Null,
        };
        assert!(Stored::prepare(&event(65_000)).is_ok());
        let error = Stored::prepare(&event(65_500)).unwrap_err().to_string();
        assert!(error.contains("over 65535"), "{error}");
    }
}
