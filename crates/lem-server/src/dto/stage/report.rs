//! The report of a team.

use crate::dto::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A report for one team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamReportView {
    /// engineering, qa, product, security, support or finance.
    pub team: String,
    /// Title.
    pub title: String,
    /// When it was made.
    pub generated_at: Time,
    /// Tables.
    pub sections: Vec<ReportSection>,
    /// The same as files.
    pub files: Vec<ReportFile>,
}

/// A table of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportSection {
    /// Title.
    pub title: String,
    /// Column titles.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<ReportRow>,
    /// What a reader must know.
    pub note: Option<String>,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportRow {
    /// As many as the section has columns.
    pub cells: Vec<String>,
    /// Event that proves it.
    pub event: Option<u64>,
}

/// A report as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportFile {
    /// Name.
    pub name: String,
    /// Where.
    pub href: String,
}
