//! Dashboards and logs as the UI reads them; the standard protocols have their own shapes.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A dashboard in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DashboardRow {
    /// Its id.
    pub uid: String,
    /// Title.
    pub title: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// An imported dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Dashboard {
    /// Its id.
    pub uid: String,
    /// Title.
    pub title: String,
    /// Panels.
    pub panels: Vec<Panel>,
    /// Variables.
    pub variables: Vec<Variable>,
    /// Refresh interval: `30s`.
    pub refresh: Option<String>,
    /// Time range.
    pub time: TimeRange,
}

/// A relative or absolute time range, in Grafana's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeRange {
    /// `now-1h`.
    pub from: String,
    /// `now`.
    pub to: String,
}

/// A panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    /// Its id.
    pub id: i64,
    /// timeseries, stat, table ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Title.
    pub title: String,
    /// Where it stands.
    pub grid_pos: GridPos,
    /// Unit.
    pub unit: Option<String>,
    /// Decimals.
    pub decimals: Option<u32>,
    /// Queries.
    pub targets: Vec<Target>,
    /// Text of a text panel, Markdown.
    pub text: Option<String>,
    /// What of it we cannot show, if anything.
    pub unsupported: Option<String>,
}

/// Place in a grid of 24 columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GridPos {
    /// Column.
    pub x: u32,
    /// Row.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
}

/// A query of a panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// A, B, C ...
    pub ref_id: String,
    /// Query.
    pub expr: String,
    /// Legend template.
    pub legend: Option<String>,
}

/// A variable of a dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Label.
    pub label: String,
    /// Query it takes its values from.
    pub query: String,
    /// Value now.
    pub current: String,
    /// Values to choose from.
    pub values: Vec<String>,
}

/// Log lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLines {
    /// Lines.
    pub lines: Vec<LogLine>,
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// When.
    pub at: Time,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Line.
    pub line: String,
    /// error, warn, info, debug; absent when it does not say.
    pub severity: Option<String>,
    /// Pattern it belongs to, where known.
    pub pattern: Option<String>,
}

/// Lines over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogHistogram {
    /// Width of a bar in milliseconds.
    pub step_ms: u64,
    /// Bars in order.
    pub bars: Vec<LogBar>,
}

/// Lines in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogBar {
    /// Start of the interval.
    pub at: Time,
    /// Lines per severity.
    pub counts: BTreeMap<String, u64>,
}

/// A log pattern and who says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogPattern {
    /// Its id.
    pub id: String,
    /// Template with `<_>` for what varies.
    pub template: String,
    /// error, warn, info ...
    pub severity: String,
    /// Lines in the window.
    pub count: u64,
    /// When it was first said.
    pub first_seen: Option<Time>,
    /// Version that said it first.
    pub first_version: Option<String>,
    /// Lines per version.
    pub versions: Vec<PatternCount>,
}

/// Lines of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatternCount {
    /// Version.
    pub version: String,
    /// Lines.
    pub count: u64,
}
