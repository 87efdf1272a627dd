//! The gate: may this artifact go there?

use jiff::civil::Date;
use lem_model::finding::FindingSeverity;

/// What is known about the artifact in question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Whether a signed statement about its origin is recorded.
    pub provenance: bool,
    /// The latest scan of what it was made from, if there is one.
    pub scanned: Option<Scanned>,
    /// Whether the artifact is known at all.
    pub known: bool,
    /// Why what is missing could not be made, where that is known.
    pub failed: Option<String>,
}

/// What a scan said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Day of the advisories it used, if it had any.
    pub advisories: Option<Date>,
    /// Open findings: severity, rule, place.
    pub open: Vec<(FindingSeverity, String)>,
    /// Findings that did not fit into the record.
    pub omitted: u32,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not, and why.
    Deny(Vec<String>),
    /// What is missing for an answer.
    Unknown(Vec<String>),
}

impl Verdict {
    /// allow, deny or unknown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The reasons, one sentence each.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Allow => &[],
            Self::Deny(reasons) | Self::Unknown(reasons) => reasons,
        }
    }
}

/// Reasons that are written out; more are counted.
const MAX_REASONS: usize = 5;

/// Decides in order: the artifact is known, its provenance is there, a scan is there, its advisories are fresh enough,
/// nothing open is at the threshold.
pub fn decide(question: &Question, threshold: FindingSeverity, max_db_age_days: i32, today: Date) -> Verdict {
    if !question.known {
        return Verdict::Unknown(vec!["nothing is recorded about this artifact".into()]);
    }
    let missing = |what: &str| {
        let why = question.failed.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        Verdict::Unknown(vec![format!("{what}{why}")])
    };
    if !question.provenance {
        return missing("no signed provenance is recorded for this artifact");
    }
    let Some(scanned) = &question.scanned else {
        return missing("what this artifact was made from has not been scanned");
    };
    let Some(day) = scanned.advisories else {
        return Verdict::Unknown(vec!["the scan had no advisories".into()]);
    };
    let age = (today - day).get_days();
    if age > max_db_age_days {
        return Verdict::Deny(vec![format!("the advisories are {age} days old; {max_db_age_days} are allowed")]);
    }
    let bad: Vec<&(FindingSeverity, String)> = scanned.open.iter().filter(|(s, _)| *s >= threshold).collect();
    if bad.is_empty() {
        return if scanned.omitted > 0 && scanned.open.iter().all(|(s, _)| *s >= threshold) {
            Verdict::Unknown(vec![format!("{} findings are not in the record", scanned.omitted)])
        } else {
            Verdict::Allow
        };
    }
    let mut reasons: Vec<String> = bad.iter().take(MAX_REASONS).map(|(s, what)| format!("{s}: {what}")).collect();
    if bad.len() > MAX_REASONS {
        reasons.push(format!("and {} more open findings of {threshold} or above", bad.len() - MAX_REASONS));
    }
    Verdict::Deny(reasons)
}
