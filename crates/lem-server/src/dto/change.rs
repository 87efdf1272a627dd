//! One commit followed round the loop.

use super::{ChangeRow, IncidentRow, State, StationId, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change as one vertical thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeThread {
    /// The change.
    pub change: ChangeRow,
    /// Whole commit message.
    pub message: String,
    /// Files it touches.
    pub files: Vec<FileChange>,
    /// Files beyond those listed.
    pub files_omitted: u32,
    /// What happened to it, in order.
    pub steps: Vec<ThreadStep>,
    /// Incidents it is named in.
    pub incidents: Vec<IncidentRow>,
    /// Reports it appears in.
    pub reports: Vec<ReportLink>,
}

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileChange {
    /// Path in the repository.
    pub path: String,
    /// Lines added; absent for a binary file.
    pub added: Option<u32>,
    /// Lines removed; absent for a binary file.
    pub removed: Option<u32>,
}

/// One step of a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ThreadStep {
    /// Station.
    pub station: StationId,
    /// What, in a few words.
    pub title: String,
    /// How it went.
    pub state: State,
    /// When it last moved.
    pub at: Time,
    /// In one sentence.
    pub sentence: String,
    /// Its page.
    pub href: String,
    /// More sentences, in order.
    pub details: Vec<String>,
    /// Events that say so.
    pub seqs: Vec<u64>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportLink {
    /// incident, dora ...
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Where.
    pub href: String,
}
