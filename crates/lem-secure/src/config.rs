//! What a repository says about security: the `secure` section of `lem.yaml`, and `lem-exceptions.yaml`.

use crate::plan::{Covered, check};
use jiff::Timestamp;
use jiff::civil::Date;
use lem_engine_scan::iac::RuleSet;
use lem_engine_yaml::{Node, Options, Reader, parse_one};
use lem_model::diagnostic::nearest;
use lem_model::finding::{Exception, FindingSeverity};
use lem_model::{Diagnostic, Place};
use std::path::Path;
use std::time::Duration;

/// File of exceptions beside `lem.yaml`.
pub const EXCEPTIONS_FILE: &str = "lem-exceptions.yaml";
/// Oldest advisories a gate believes, unless configured.
pub const MAX_DB_AGE_DAYS: i32 = 120;
/// Time a gate waits for the provenance and the scan of an artifact, unless configured.
pub const GATE_WAIT: Duration = Duration::from_mins(2);
/// Longest such time.
pub const GATE_WAIT_MAX: Duration = Duration::from_hours(24);
/// Longest time a gate that only warns holds a release up.
pub const GATE_WAIT_WARN: Duration = Duration::from_secs(10);
/// Most exceptions of one repository.
pub const MAX_EXCEPTIONS: usize = 2_000;

/// What a gate does with its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateMode {
    /// Records it and lets pass.
    #[default]
    Warn,
    /// Denies what is not allowed, unknown included.
    Required,
}

/// How strictly skips without a reason are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SkipReason {
    /// They are findings.
    #[default]
    Required,
    /// They are warnings.
    Warn,
    /// They are fine.
    Off,
}

/// The policy of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Gate.
    pub gate: GateMode,
    /// Time a required gate waits for the provenance and the scan of an artifact.
    pub gate_wait: Duration,
    /// Findings from here on count.
    pub threshold: FindingSeverity,
    /// Days advisories may be old for a gate.
    pub max_db_age_days: i32,
    /// Skips.
    pub skip_reason: SkipReason,
    /// Exceptions in order; those that are past are left out.
    pub exceptions: Vec<Exception>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            gate: GateMode::default(),
            gate_wait: GATE_WAIT,
            threshold: FindingSeverity::High,
            max_db_age_days: MAX_DB_AGE_DAYS,
            skip_reason: SkipReason::default(),
            exceptions: vec![],
        }
    }
}

/// A severity by its word.
pub fn severity(word: &str) -> Option<FindingSeverity> {
    use FindingSeverity::{Critical, High, Info, Low, Medium};
    [Info, Low, Medium, High, Critical].into_iter().find(|s| s.word() == word)
}

impl Policy {
    /// How long a release is held up for what its artifact's verdict still lacks.
    pub fn patience(&self) -> Duration {
        match self.gate {
            GateMode::Required => self.gate_wait,
            GateMode::Warn => self.gate_wait.min(GATE_WAIT_WARN),
        }
    }

    /// Reads the section, if there is one, and the exceptions file, if there is one.
    pub fn read(root: &Path, section: Option<(&str, &Node)>, today: Date) -> (Self, Vec<Diagnostic>) {
        let mut policy = Self::default();
        let mut diagnostics = vec![];
        if let Some((file, node)) = section {
            let reader = Reader::new(file);
            policy.section(&reader, node, today);
            diagnostics.extend(reader.into_diagnostics());
        }
        if let Ok(text) = std::fs::read_to_string(root.join(EXCEPTIONS_FILE)) {
            let (tree, found) = parse_one(&text, EXCEPTIONS_FILE, Options::default());
            diagnostics.extend(found);
            let reader = Reader::new(EXCEPTIONS_FILE);
            if let Some(mut fields) = tree.as_ref().and_then(|t| reader.fields(t, "exceptions file")) {
                if let Some(list) = fields.take("exceptions") {
                    policy.exceptions(&reader, list, today);
                }
                fields.finish();
            }
            diagnostics.extend(reader.into_diagnostics());
        }
        (policy, diagnostics)
    }

    fn section(&mut self, reader: &Reader, node: &Node, today: Date) {
        let Some(mut fields) = reader.fields(node, "secure") else { return };
        if let Some(n) = fields.take("gate") {
            self.gate = word(reader, n, "gate", &[("warn", GateMode::Warn), ("required", GateMode::Required)])
                .unwrap_or_default();
        }
        if let Some(wait) = fields.take("gate_wait").and_then(|n| gate_wait(reader, n)) {
            self.gate_wait = wait;
        }
        if let Some(n) = fields.take("severity") {
            let known = ["info", "low", "medium", "high", "critical"]
                .map(|w| (w, severity(w).unwrap_or(FindingSeverity::High)));
            self.threshold = word(reader, n, "severity", &known).unwrap_or(self.threshold);
        }
        if let Some(n) = fields.take("skip_reason") {
            let known = [("required", SkipReason::Required), ("warn", SkipReason::Warn), ("off", SkipReason::Off)];
            self.skip_reason = word(reader, n, "skip_reason", &known).unwrap_or_default();
        }
        if let Some(n) = fields.take("max_db_age") {
            match reader.duration_ms(n, "max_db_age") {
                Some(ms) => self.max_db_age_days = i32::try_from(ms / 86_400_000).unwrap_or(i32::MAX),
                None => self.max_db_age_days = MAX_DB_AGE_DAYS,
            }
        }
        if let Some(n) = fields.take("exceptions") {
            self.exceptions(reader, n, today);
        }
        fields.finish();
    }

    fn exceptions(&mut self, reader: &Reader, list: &Node, today: Date) {
        for node in reader.items(list, "exceptions").unwrap_or_default() {
            if self.exceptions.len() == MAX_EXCEPTIONS {
                reader.error(node, "too-many-exceptions", format!("at most {MAX_EXCEPTIONS} exceptions are read"));
                return;
            }
            if let Some(exception) = read_exception(reader, node, today) {
                self.exceptions.push(exception);
            }
        }
    }
}

fn gate_wait(reader: &Reader, node: &Node) -> Option<Duration> {
    let wait = Duration::from_millis(reader.duration_ms(node, "gate_wait")?);
    if wait > GATE_WAIT_MAX {
        let hours = GATE_WAIT_MAX.as_secs() / 3600;
        reader.error(node, "out-of-range", format!("gate_wait is at most {hours}h"));
        return None;
    }
    Some(wait)
}

fn word<T: Copy>(reader: &Reader, node: &Node, what: &str, known: &[(&str, T)]) -> Option<T> {
    let text = reader.string(node, what)?;
    let found = known.iter().find(|(w, _)| *w == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(w, _)| *w).collect();
        reader.error_with_hint(
            node,
            "wrong-value",
            format!("{what} is {text:?}"),
            format!("one of {}", words.join(", ")),
        );
    }
    found
}

/// One exception; `None` when it is wrong or past, which is said.
fn read_exception(reader: &Reader, node: &Node, today: Date) -> Option<Exception> {
    let mut fields = reader.fields(node, "exception")?;
    let mut text = |key: &str| fields.require(key).and_then(|n| reader.string(n, key));
    let (covers, owner, approver, reason) = (text("covers"), text("owner"), text("approver"), text("reason"));
    let expires = fields.require("expires").and_then(|n| day(reader, n, "expires"));
    let granted = fields.take("granted").and_then(|n| day(reader, n, "granted"));
    fields.finish();
    let granted_at = granted.and_then(|d| jiff::tz::TimeZone::UTC.to_timestamp(d.at(0, 0, 0, 0)).ok());
    let exception = Exception {
        covers: covers?,
        owner: owner?,
        approver: approver?,
        reason: reason?,
        expires: expires?,
        granted_at,
    };
    if let Covered::Rule { rule, .. } = Covered::read(&exception.covers) {
        let known = known_rules();
        if !known.iter().any(|k| k.eq_ignore_ascii_case(rule)) && !is_advisory(rule) {
            let hint = nearest(rule, known.iter().map(String::as_str)).map_or_else(
                || "name a rule, an advisory or a fingerprint as lem scan prints them".to_owned(),
                |near| format!("did you mean {near:?}?"),
            );
            reader.error_with_hint(node, "unknown-rule", format!("no rule is called {rule:?}"), hint);
            return None;
        }
    }
    match check(&exception, today) {
        Ok(true) => Some(exception),
        Ok(false) => {
            let message = format!(
                "the exception for {} ended on {}: its findings count again",
                exception.covers, exception.expires
            );
            reader.warning(node, "exception-expired", message);
            None
        }
        Err(why) => {
            reader.error(node, "exception-invalid", why);
            None
        }
    }
}

fn day(reader: &Reader, node: &Node, what: &str) -> Option<Date> {
    let text = reader.string(node, what)?;
    let parsed = text.parse::<Date>().or_else(|_| text.parse::<Timestamp>().map(crate::plan::day_of));
    if parsed.is_err() {
        reader.error(node, "wrong-value", format!("{what} is {text:?}, not a day such as 2026-12-31"));
    }
    parsed.ok()
}

/// Ids and aliases of every rule that is no advisory.
pub fn known_rules() -> Vec<String> {
    let mut known: Vec<String> = vec![lem_engine_scan::skip::NO_REASON_RULE.to_owned()];
    for rule in &RuleSet::embedded().rules {
        known.push(rule.id.clone());
        known.extend(rule.aliases.iter().cloned());
    }
    for (id, aliases) in
        lem_engine_scan::dockerfile::RULES.iter().chain(lem_engine_scan::cilint::RULES).map(|r| (r.0, r.1))
    {
        known.push(id.to_owned());
        known.extend(aliases.iter().map(|a| (*a).to_owned()));
    }
    for rule in lem_engine_scan::leaks::Matcher::embedded().rules() {
        known.push(rule.id.clone());
        known.extend(rule.aliases.iter().cloned());
    }
    known
}

fn is_advisory(id: &str) -> bool {
    ["CVE-", "GHSA-", "RUSTSEC-", "PYSEC-", "GO-", "MAL-", "OSV-"].iter().any(|prefix| id.starts_with(prefix))
}

/// A diagnostic about the place where exceptions stand.
pub(crate) fn at_file(code: &str, message: String, file: &str) -> Diagnostic {
    Diagnostic::warning(code, message, Place::file(file))
}
