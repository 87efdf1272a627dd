//! Documents for people: what happened, why, and what each team needs to know. Pure functions over what the ledger
//! says; the stage and the binary decide where they go.

mod engineering;
mod incident;
mod product;
mod qa;
mod support;
mod timeline;

pub use engineering::engineering;
pub use incident::{html, incident_markdown, status, why};
pub use product::product;
pub use qa::qa;
pub use support::support;
pub use timeline::{TimelineEntry, sentence, timeline};

use crate::state::LoopState;
use jiff::Timestamp;
use lem_model::{Event, Fact, Team, TeamReport};

/// Rows of one table; older ones are in the ledger, and the note says so.
pub const MAX_ROWS: usize = 200;

/// The report of a team as of a time, from the whole ledger; `None` for the teams other stages answer.
pub fn team(team: Team, state: &LoopState, events: &[Event], now: Timestamp) -> Option<TeamReport> {
    match team {
        Team::Engineering => Some(engineering(state, events, now)),
        Team::Qa => Some(qa(state, events, now)),
        Team::Product => Some(product(state, events, now)),
        Team::Support => Some(support(state, events, now)),
        Team::Security | Team::Finance => None,
    }
}

/// All facts of a type with their events, oldest first.
fn facts<F: Fact>(events: &[Event]) -> impl DoubleEndedIterator<Item = (&Event, F)> {
    events.iter().filter_map(|e| Some((e, e.read::<F>()?)))
}

/// Keeps the newest rows of a table that is sorted newest first, and says what was left out.
fn bounded(mut section: lem_model::Section) -> lem_model::Section {
    let surplus = section.rows.len().saturating_sub(MAX_ROWS);
    if surplus > 0 {
        section.rows.truncate(MAX_ROWS);
        let omitted = format!("{surplus} older rows are in the ledger");
        section.note = Some(section.note.map_or(omitted.clone(), |note| format!("{note}; {omitted}")));
    }
    section
}

/// A share as people read it.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "unknown".into() } else { format!("{:.2} %", 100.0 * part as f64 / whole as f64) }
}

/// A time to the second.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
