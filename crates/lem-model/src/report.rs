//! Reports for the teams: tables for people, each row leading to its evidence in the ledger.
//!
//! A stage fills a [`TeamReport`] by pure functions over what it knows; every form it leaves us in ([`TeamReport::markdown`],
//! [`TeamReport::html`], [`TeamReport::csv`], [`TeamReport::json`]) is made here, so that all teams' reports look alike.
//! A cell is text, never markup: whatever a commit message or a log line holds is shown, not run.

mod render;

use crate::event::Seq;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Whom a report is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Team {
    /// Who builds and runs the services.
    Engineering,
    /// Who assures their quality.
    Qa,
    /// Who decides what is built.
    Product,
    /// Who keeps them safe.
    Security,
    /// Who answers the customers.
    Support,
    /// Who pays.
    Finance,
}

impl Team {
    /// All of them, in the order of the loop.
    pub const ALL: [Self; 6] =
        [Self::Engineering, Self::Qa, Self::Product, Self::Security, Self::Support, Self::Finance];

    /// The name in commands, addresses and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engineering => "engineering",
            Self::Qa => "qa",
            Self::Product => "product",
            Self::Security => "security",
            Self::Support => "support",
            Self::Finance => "finance",
        }
    }
}

impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Team {
    type Err = UnknownTeam;

    fn from_str(text: &str) -> Result<Self, UnknownTeam> {
        Self::ALL.into_iter().find(|t| t.name() == text).ok_or_else(|| UnknownTeam(text.to_owned()))
    }
}

/// No such team.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no report for {0:?}; the teams are engineering, qa, product, security, support and finance")]
pub struct UnknownTeam(pub String);

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// As many as the section has columns.
    pub cells: Vec<String>,
    /// Event that proves it, when one does.
    pub event: Option<Seq>,
}

/// One table under a heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// Headings of the columns.
    pub columns: Vec<String>,
    /// Rows, in the order in which they should be read.
    pub rows: Vec<Row>,
    /// What a reader must know: where the numbers come from, what is unknown, why the table is empty.
    pub note: Option<String>,
}

impl Section {
    /// An empty table.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            rows: vec![],
            note: None,
        }
    }

    /// The same with a note.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Adds a row. Missing cells are empty and surplus ones are dropped, so that no table is ever ragged.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>, event: Option<Seq>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(Row { cells, event });
    }
}

/// A report for one team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamReport {
    /// Whom it is for.
    pub team: Team,
    /// Heading.
    pub title: String,
    /// As of when.
    pub generated_at: Timestamp,
    /// Its tables.
    pub sections: Vec<Section>,
}

/// How a report leaves us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For repositories and chats.
    Markdown,
    /// One self-contained page.
    Html,
    /// For spreadsheets.
    Csv,
    /// For programs.
    Json,
}

impl Form {
    /// The form a file name's ending or a query parameter means.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "md" | "markdown" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }
}

impl TeamReport {
    /// A report without tables.
    pub fn new(team: Team, title: impl Into<String>, generated_at: Timestamp) -> Self {
        Self { team, title: title.into(), generated_at, sections: vec![] }
    }

    /// The same with one more table.
    #[must_use]
    pub fn with(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The document in a form.
    pub fn render(&self, form: Form) -> String {
        match form {
            Form::Markdown => self.markdown(),
            Form::Html => self.html(),
            Form::Csv => self.csv(),
            Form::Json => self.json(),
        }
    }

    /// Markdown with one table per section; each row links to its event.
    pub fn markdown(&self) -> String {
        render::markdown(self)
    }

    /// One self-contained page: no script, nothing from outside.
    pub fn html(&self) -> String {
        render::html(self)
    }

    /// RFC 4180, one block per section, each with its own header line and a blank line between blocks.
    pub fn csv(&self) -> String {
        render::csv(self)
    }

    /// The report as it is.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report holds only text and numbers")
    }
}

/// Address of an event's page: where every row of every report leads.
pub fn evidence_address(event: Seq) -> String {
    format!("/ledger/{event}")
}
