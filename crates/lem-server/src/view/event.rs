//! An event as a row.

use crate::dto::EventRow;
use lem_feedback::report::sentence;
use lem_model::Event;

/// An event with what it says in one sentence.
pub fn row(event: &Event) -> EventRow {
    EventRow {
        seq: event.seq,
        id: event.id.clone(),
        kind: event.kind.as_str().to_owned(),
        short_type: event.kind.short().to_owned(),
        time_occurred: event.time_occurred.into(),
        time_received: event.time_received.into(),
        source: event.source.clone(),
        subject: event.subject.clone(),
        chain: event.chain.clone(),
        payload: event.payload.clone(),
        sentence: sentence(event),
    }
}
