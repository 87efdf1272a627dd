//! The shapes of our own API, as they travel: camelCase JSON, times in RFC 3339, ids as text.
//!
//! They are wire types, not the nouns of the loop: stages keep theirs and [`crate::view`] converts.

mod change;
mod deploy;
mod incident;
mod ledger;
mod observe;
mod overview;
mod run;
mod stage;

pub use change::*;
pub use deploy::*;
pub use incident::*;
pub use ledger::*;
pub use observe::*;
pub use overview::*;
pub use run::*;
pub use stage::*;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A point in time, RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = DateTime, example = "2026-11-20T09:30:00Z")]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// What went wrong, as RFC 9457 writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the code says which problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem, in a few words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Stable short code; `lem explain CODE` tells more.
    pub code: String,
    /// What to do, when we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the body it is wrong, as an RFC 6901 pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What became of each event that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Vec<Received>>,
}

/// A request is in the ledger; its owner will act on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Always true.
    pub accepted: bool,
    /// Event that holds the request.
    pub seq: u64,
    /// What the request is about: the run, rollout or incident it will be known as.
    pub subject: String,
}

/// Why something is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reason {
    /// Why, as a sentence; it stands in the ledger.
    pub reason: String,
}

/// The colour-free word for how something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// At work.
    Running,
    /// Waits for something or somebody.
    Waiting,
    /// Something is wrong.
    Bad,
    /// We do not know.
    Unknown,
}
