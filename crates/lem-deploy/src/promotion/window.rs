//! Kargo `promotionWindows`: Allow and Deny, once or by recurrence rule (RFC 5545), with time zones.

use crate::config::whole_file;
use globset::Glob;
use jiff::Timestamp;
use lem_engine_yaml::{Node, Options, Reader, parse};
use lem_model::Diagnostic;
use regex::Regex;
use rrule::{RRuleSet, Tz};
use std::str::FromStr;

/// Windows in one file.
pub(super) const WINDOWS_MAX: usize = 200;
/// Occurrences of one rule that are looked at around a moment.
const OCCURRENCES_MAX: u16 = 100;

/// Whether a window opens or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Promotion is allowed inside, and nowhere else.
    Allow,
    /// Promotion is not allowed inside.
    Deny,
}

/// One window.
#[derive(Clone, Debug)]
pub struct Window {
    /// Name.
    pub name: String,
    /// Allow or deny.
    pub kind: Kind,
    /// For people.
    pub description: Option<String>,
    stages: Vec<Stages>,
    starts: Starts,
    length_s: i64,
}

#[derive(Clone, Debug)]
enum Stages {
    Exact(String),
    Glob(globset::GlobMatcher),
    Regex(Regex),
}

#[derive(Clone, Debug)]
enum Starts {
    Once(i64),
    Rule(Box<RRuleSet>),
}

impl Window {
    fn matches(&self, stage: &str) -> bool {
        self.stages.iter().all(|s| match s {
            Stages::Exact(name) => name == stage,
            Stages::Glob(glob) => glob.is_match(stage),
            Stages::Regex(regex) => regex.is_match(stage),
        })
    }

    /// The end of the occurrence a moment lies in, in seconds.
    fn active_until(&self, now_s: i64) -> Option<i64> {
        match &self.starts {
            Starts::Once(start) => Some(start + self.length_s).filter(|end| (*start..*end).contains(&now_s)),
            Starts::Rule(rule) => {
                let after = instant(now_s - self.length_s)?;
                let before = instant(now_s)?;
                let found = rule.as_ref().clone().after(after).before(before).all(OCCURRENCES_MAX);
                // A rule too long to follow is never read as open.
                if found.limited && self.kind == Kind::Deny {
                    return Some(now_s + 1);
                }
                let ends = found.dates.iter().map(|d| (d.timestamp(), d.timestamp() + self.length_s));
                ends.filter(|(start, end)| (*start..*end).contains(&now_s)).map(|(_, end)| end).max()
            }
        }
    }
}

fn instant(seconds: i64) -> Option<chrono::DateTime<Tz>> {
    Some(chrono::DateTime::from_timestamp(seconds, 0)?.with_timezone(&Tz::UTC))
}

/// Why a stage is closed: an active Deny, or Allow windows of which none is active. No window at all is open.
pub(super) fn closed(windows: &[Window], stage: &str, now: Timestamp) -> Option<String> {
    let now_s = now.as_second();
    let until = |end: i64| Timestamp::from_second(end).map_or_else(|_| "the end of time".to_owned(), |t| t.to_string());
    let mine = || windows.iter().filter(|w| w.matches(stage));
    let denied = mine().filter(|w| w.kind == Kind::Deny).find_map(|w| Some((w, w.active_until(now_s)?)));
    if let Some((window, end)) = denied {
        return Some(format!("window {} denies promotion to {stage} until {}", window.name, until(end)));
    }
    let allows: Vec<&Window> = mine().filter(|w| w.kind == Kind::Allow).collect();
    if allows.is_empty() || allows.iter().any(|w| w.active_until(now_s).is_some()) {
        return None;
    }
    let names: Vec<&str> = allows.iter().map(|w| w.name.as_str()).collect();
    Some(format!("promotion to {stage} is open only in window {}", names.join(", ")))
}

/// Reads a Kargo `ProjectConfig`, or a bare file with `promotionWindows:`.
pub fn read(file: &str, text: &str) -> (Vec<Window>, Vec<Diagnostic>) {
    let (nodes, mut diagnostics) = parse(text, file, Options::default());
    let reader = Reader::new(file);
    let mut windows = vec![];
    let lists: Vec<&Node> = nodes.iter().filter_map(|n| list(&reader, n)).collect();
    if lists.is_empty() && diagnostics.is_empty() {
        reader.report(whole_file(file, "no-windows", "no promotionWindows in this file"));
    }
    for node in lists.into_iter().filter_map(|n| reader.items(n, "promotionWindows")).flatten() {
        if windows.len() >= WINDOWS_MAX {
            reader.error(node, "too-many", format!("at most {WINDOWS_MAX} windows are possible"));
            break;
        }
        windows.extend(window(&reader, node).flatten());
    }
    diagnostics.extend(reader.into_diagnostics());
    (windows, diagnostics)
}

fn list<'a>(reader: &'a Reader, node: &'a Node) -> Option<&'a Node> {
    if node.get("kind").is_none() {
        let mut fields = reader.fields(node, "the file")?;
        let found = fields.take("promotionWindows");
        fields.finish();
        return found;
    }
    if node.get("kind").and_then(Node::text) != Some("ProjectConfig") {
        return None;
    }
    node.get("spec")?.get("promotionWindows")
}

/// `Some(None)` is a disabled window.
fn window(reader: &Reader, node: &Node) -> Option<Option<Window>> {
    let mut fields = reader.fields(node, "the window")?;
    let name = fields.require("name").and_then(|n| reader.string(n, "name"));
    let kind = fields.require("kind").and_then(|n| kind(reader, n));
    let description = fields.take("description").and_then(|n| reader.string(n, "description"));
    let disabled = fields.take("disabled").and_then(|n| reader.boolean(n, "disabled")) == Some(true);
    let stages = fields.take("stageSelector").map_or_else(|| Some(vec![]), |n| selector(reader, n));
    if let Some(n) = fields.take("projectSelector") {
        reader.error(n, "unsupported-key", "projectSelector belongs to a cluster-wide file and is not supported");
    }
    let rule = fields.take("rrule");
    let start = fields.require("dtstart");
    let end = fields.require("dtend");
    fields.finish();
    let (start_node, end_node) = (start?, end?);
    let start = moment(reader, start_node, "dtstart")?;
    let end = moment(reader, end_node, "dtend")?;
    let length_s = end.seconds - start.seconds;
    if length_s <= 0 {
        reader.error(end_node, "ends-before-start", "dtend must be after dtstart");
        return None;
    }
    let starts = match rule {
        None => Starts::Once(start.seconds),
        Some(n) => Starts::Rule(Box::new(recurrence(reader, n, &start)?)),
    };
    let window = Window { name: name?, kind: kind?, description, stages: stages?, starts, length_s };
    Some((!disabled).then_some(window))
}

fn kind(reader: &Reader, node: &Node) -> Option<Kind> {
    match node.text() {
        Some("Allow") => Some(Kind::Allow),
        Some("Deny") => Some(Kind::Deny),
        _ => {
            reader.error(node, "out-of-range", "kind must be Allow or Deny");
            None
        }
    }
}

fn selector(reader: &Reader, node: &Node) -> Option<Vec<Stages>> {
    let mut fields = reader.fields(node, "stageSelector")?;
    let name = fields.take("name");
    for key in ["matchLabels", "matchExpressions"] {
        if let Some(n) = fields.take(key) {
            reader.error(n, "unsupported-key", format!("{key} is not supported: environments have no labels"));
        }
    }
    fields.finish();
    let Some(node) = name else { return Some(vec![]) };
    let text = reader.string(node, "name")?;
    let wrong = |error: String| reader.error(node, "bad-pattern", error);
    let found = if let Some(pattern) = text.strip_prefix("glob:") {
        Stages::Glob(Glob::new(pattern).map_err(|e| wrong(e.to_string())).ok()?.compile_matcher())
    } else if let Some(pattern) = text.strip_prefix("regex:").or_else(|| text.strip_prefix("regexp:")) {
        Stages::Regex(Regex::new(pattern).map_err(|e| wrong(e.to_string().replace('\n', " "))).ok()?)
    } else {
        Stages::Exact(text)
    };
    Some(vec![found])
}

/// A moment as written: its text for the rule, and what it is in seconds.
struct Moment {
    line: String,
    seconds: i64,
}

/// `YYYYMMDDThhmmss`, with `TZID=Zone:` before it or else UTC.
fn moment(reader: &Reader, node: &Node, what: &str) -> Option<Moment> {
    let text = reader.string(node, what)?;
    let (zone, local) = match text.strip_prefix("TZID=").and_then(|rest| rest.split_once(':')) {
        Some((zone, local)) => (zone, local),
        None => ("UTC", text.as_str()),
    };
    let Ok(tz) = jiff::tz::TimeZone::get(zone) else {
        reader.error(node, "unknown-zone", format!("time zone {zone} is not known"));
        return None;
    };
    let bare = local.strip_suffix('Z').filter(|_| zone == "UTC").unwrap_or(local);
    let Ok(time) = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", bare) else {
        reader.error(node, "bad-time", format!("{what} must be YYYYMMDDThhmmss, with TZID=Zone: before it if not UTC"));
        return None;
    };
    let seconds = tz.to_ambiguous_zoned_datetime(time).compatible().ok()?.timestamp().as_second();
    let line = if zone == "UTC" { format!("DTSTART:{bare}Z") } else { format!("DTSTART;TZID={zone}:{bare}") };
    Some(Moment { line, seconds })
}

fn recurrence(reader: &Reader, node: &Node, start: &Moment) -> Option<RRuleSet> {
    let text = reader.string(node, "rrule")?;
    let rule = text.strip_prefix("RRULE:").unwrap_or(&text);
    match RRuleSet::from_str(&format!("{}\nRRULE:{rule}", start.line)) {
        Ok(set) => Some(set.limit()),
        Err(error) => {
            reader.error(node, "bad-rrule", format!("recurrence rule is not understood: {error}"));
            None
        }
    }
}
