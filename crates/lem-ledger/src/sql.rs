//! The one SQL text. `{key}`, `{text}` and `{blob}` are the only words in which the two databases differ.

use crate::db::{Value, Words};
use crate::leaf::stamp;
use crate::{Filter, LedgerError};
use lem_model::Seq;
use std::fmt::Write as _;

/// Version of the schema below.
pub(crate) const VERSION: i64 = 1;

pub(crate) const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS lem_meta (name {text} PRIMARY KEY, value {text} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS events (seq {key}, id {text} NOT NULL, type {text} NOT NULL, \
     time_occurred {text} NOT NULL, time_received {text} NOT NULL, source {text} NOT NULL, subject {text} NOT NULL, \
     chain {text}, payload {blob}, salt {blob}, commitment {blob} NOT NULL, leaf_hash {blob} NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_id ON events (id, source)",
    "CREATE INDEX IF NOT EXISTS events_type ON events (type, seq)",
    "CREATE INDEX IF NOT EXISTS events_subject ON events (subject, seq)",
    "CREATE INDEX IF NOT EXISTS events_chain ON events (chain, seq) WHERE chain IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS events_time ON events (time_occurred, seq)",
    "CREATE TABLE IF NOT EXISTS event_types (type {text} PRIMARY KEY, short {text} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS checkpoints (size {key}, root {blob} NOT NULL, note {text} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS cursors (consumer {text} PRIMARY KEY, next BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS inbox (digest {text} PRIMARY KEY, seq BIGINT NOT NULL, time_received {text} NOT NULL, \
     why {text} NOT NULL, event {blob} NOT NULL)",
];

/// A schema statement in one database's words.
pub(crate) fn spelled(statement: &str, words: &Words) -> String {
    statement.replace("{key}", words.key).replace("{text}", words.text).replace("{blob}", words.blob)
}

pub(crate) const COLUMNS: &str =
    "seq, id, type, time_occurred, time_received, source, subject, chain, payload, salt, commitment, leaf_hash";
/// Columns in [`COLUMNS`].
pub(crate) const WIDTH: usize = 12;
/// What is asked of the events that have an id and source already.
pub(crate) const EXISTING: &str = "SELECT seq, id, source, payload, commitment FROM events WHERE (id, source)";

pub(crate) const SIZE: &str = "SELECT COALESCE(MAX(seq) + 1, 0) FROM events";
pub(crate) const HASHES: &str =
    "SELECT seq, leaf_hash FROM events WHERE seq >= $1 AND seq < $2 ORDER BY seq LIMIT 65536";
pub(crate) const ERASE: &str = "UPDATE events SET payload = NULL, salt = NULL WHERE seq = $1 AND payload IS NOT NULL";
pub(crate) const TYPE: &str = "INSERT INTO event_types (type, short) VALUES ($1, $2) ON CONFLICT (type) DO NOTHING";
pub(crate) const SIGNED: &str =
    "INSERT INTO checkpoints (size, root, note) VALUES ($1, $2, $3) ON CONFLICT (size) DO NOTHING";
pub(crate) const LAST_SIGNED: &str = "SELECT size, root, note FROM checkpoints ORDER BY size DESC LIMIT 1";
pub(crate) const ALL_SIGNED: &str = "SELECT size, root, note FROM checkpoints WHERE size > $1 ORDER BY size LIMIT 4096";
pub(crate) const CURSOR: &str = "SELECT next FROM cursors WHERE consumer = $1";
pub(crate) const MOVE: &str = "INSERT INTO cursors (consumer, next) VALUES ($1, $2) ON CONFLICT (consumer) DO UPDATE \
     SET next = excluded.next WHERE excluded.next > cursors.next";
pub(crate) const CONFLICT: &str = "INSERT INTO inbox (digest, seq, time_received, why, event) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING";
pub(crate) const INBOX: &str =
    "SELECT seq, time_received, why, event FROM inbox ORDER BY time_received, digest LIMIT 1000";

/// `($1, $2), ($3, $4)` for two rows of two columns.
pub(crate) fn tuples(rows: usize, width: usize) -> String {
    let mut text = String::with_capacity(rows * width * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}${}", row * width + column + 1);
        }
        text.push(')');
    }
    text
}

/// Reads events that pass a filter.
pub(crate) fn select(from: Seq, filter: &Filter, limit: u32) -> Result<(String, Vec<Value>), LedgerError> {
    let mut sql = format!("SELECT {COLUMNS} FROM events WHERE seq >= $1");
    let mut args = vec![Value::Int(from.min(i64::MAX as u64) as i64)];
    let mut also = |condition: &str, value: String, args: &mut Vec<Value>| {
        args.push(Value::Text(value));
        let _ = write!(sql, " AND {condition} ${}", args.len());
    };
    if let Some(subject) = &filter.subject {
        also("subject =", subject.clone(), &mut args);
    }
    if let Some(chain) = &filter.chain {
        also("chain =", chain.clone(), &mut args);
    }
    if let Some(source) = &filter.source {
        also("source =", source.clone(), &mut args);
    }
    if let Some(since) = filter.since {
        also("time_occurred >=", stamp(since), &mut args);
    }
    if let Some(until) = filter.until {
        also("time_occurred <", stamp(until), &mut args);
    }
    if !filter.types.is_empty() {
        let first = args.len() + 1;
        args.extend(filter.types.iter().map(|t| Value::Text(t.clone())));
        let marks = (first..=args.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let _ =
            write!(sql, " AND type IN (SELECT type FROM event_types WHERE short IN ({marks}) OR type IN ({marks}))");
    }
    let _ = write!(sql, " ORDER BY seq LIMIT {limit}");
    Ok((sql, args))
}
