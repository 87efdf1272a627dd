//! Patterns of lines and releases: which release said a pattern first, how often each says it, and what a new release
//! says that the one beside it does not.
//!
//! Only the first sight of a pattern is a fact; counts stay in the store.

use crate::ObserveError;
use crate::engine::LogFailure;
use crate::events::PatternFirstSeen;
use crate::ledger::{Scribe, insist};
use crate::own::Own;
use crate::symptom::Answers;
use lem_engine_logs::{
    DiffConfig, DiffVerdict, LabelRange, LogStore, Matcher, OtherSignal, PatternCount, PatternFacts, PatternId,
    PatternInfo, PatternWindow, Window as DiffWindow, judge_diff,
};
use lem_ledger::{EventLog, Filter, MAX_READ};
use lem_model::Version;
use lem_model::port::{CohortCount, Scope, SourceError, SymptomSource, Window};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Facts about first sights per minute; the others wait for the next minute.
pub const MAX_FACTS_A_MINUTE: usize = 100;
/// Patterns of one report.
pub const MAX_PATTERNS: usize = 1_000;
/// Windows of one diff.
pub const MAX_WINDOWS: i64 = 60;
/// Length of a window of a diff.
const WINDOW_NS: i64 = 60_000_000_000;
/// First minutes of a release whose patterns count as noise of starting.
const WARM_UP: Duration = Duration::from_mins(3);
/// Rest between two looks for new patterns.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A pattern and who says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatternReport {
    /// Its number in this store.
    pub id: String,
    /// Template with `<_>` for what varies.
    pub template: String,
    /// The worst severity of its lines; absent when none says one.
    pub severity: Option<String>,
    /// Lines in the window.
    pub count: u64,
    /// When it was first said at all.
    pub first_seen: Option<jiff::Timestamp>,
    /// The release that said it first.
    pub first_version: Option<String>,
    /// Lines per release; a release that is not known is absent.
    pub versions: Vec<PatternVersion>,
}

/// Lines of one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatternVersion {
    /// Release; absent when the lines do not say it.
    pub version: Option<String>,
    /// Lines.
    pub count: u64,
}

/// What the logs say of a new release beside an old one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDiff {
    /// The new one.
    pub canary: Version,
    /// The one beside it.
    pub baseline: Version,
    /// `quiet`, `suspect`, `bad` or `unknown`.
    pub verdict: String,
    /// What is missing, when it is unknown.
    pub why: Option<String>,
    /// Patterns that stand out.
    pub findings: Vec<DiffFinding>,
}

/// A pattern that stands out, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffFinding {
    /// Its number in this store.
    pub id: String,
    /// Template.
    pub template: String,
    /// The worst severity seen.
    pub severity: Option<String>,
    /// Lines of the new release.
    pub canary_count: u64,
    /// Lines of the old one.
    pub baseline_count: u64,
    /// Requests the new release served.
    pub canary_requests: u64,
    /// Requests the old one served.
    pub baseline_requests: u64,
    /// Smallest G statistic of the judged windows.
    pub g: f64,
    /// Smallest ratio of rates of the judged windows.
    pub ratio: f64,
    /// Lines as they were said.
    pub samples: Vec<String>,
}

/// Rows of a store, one per pattern, release and environment, as reports: most frequent first.
pub fn reports(rows: Vec<PatternCount>) -> Vec<PatternReport> {
    let mut all: BTreeMap<PatternId, PatternReport> = BTreeMap::new();
    for row in rows {
        let severity = row.severity.map(|s| s.as_str().to_owned());
        let report = all.entry(row.id).or_insert_with(|| PatternReport {
            id: row.id.0.to_string(),
            template: row.template.clone(),
            severity: severity.clone(),
            count: 0,
            first_seen: row.first_seen.as_ref().and_then(|f| jiff::Timestamp::from_nanosecond(f.ts_ns.into()).ok()),
            first_version: row.first_seen.as_ref().and_then(|f| f.version.clone()),
            versions: vec![],
        });
        report.count += row.count;
        if rank(severity.as_deref()) > rank(report.severity.as_deref()) {
            report.severity = severity;
        }
        match report.versions.iter_mut().find(|v| v.version == row.version) {
            Some(version) => version.count += row.count,
            None => report.versions.push(PatternVersion { version: row.version, count: row.count }),
        }
    }
    let mut all: Vec<PatternReport> = all.into_values().collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.template.cmp(&b.template)));
    all.truncate(MAX_PATTERNS);
    all
}

fn rank(severity: Option<&str>) -> usize {
    const ORDER: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];
    severity.and_then(|s| ORDER.iter().position(|o| *o == s)).map_or(0, |at| at + 1)
}

/// Compares two releases of a service over the whole minutes of a window.
pub async fn release_diff(
    answers: &Answers,
    store: &LogStore,
    scope: &Scope,
    canary: &Version,
    baseline: &Version,
    window: Window,
    other: OtherSignal,
) -> Result<ReleaseDiff, SourceError> {
    let bounds = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
    let to = bounds(window.to).div_euclid(WINDOW_NS);
    let from = bounds(window.from).div_euclid(WINDOW_NS).max(to - MAX_WINDOWS);
    let (mut new, mut old) =
        (PatternWindow { other_signal: other, ..PatternWindow::default() }, PatternWindow::default());
    for minute in from..to {
        let (start_ns, end_ns) = (minute * WINDOW_NS, (minute + 1) * WINDOW_NS);
        let at = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).unwrap_or(window.to);
        let cohorts = answers.cohorts(scope, Window { from: at(start_ns), to: at(end_ns) }).await?;
        for (arm, version) in [(&mut new, canary), (&mut old, baseline)] {
            let counts = counts(store, scope, version, start_ns, end_ns).await?;
            let known = counts.iter().map(|row| {
                let facts = PatternFacts { template: row.template.clone(), severity: row.severity, samples: vec![] };
                (row.id, facts)
            });
            arm.patterns.extend(known);
            let counts = counts.iter().map(|row| (row.id, row.count)).collect();
            arm.windows.push(DiffWindow { start_ns, requests: requests(&cohorts, version), counts });
        }
    }
    let seen = store.seen_before(canary.as_str(), WARM_UP);
    let verdict = judge_diff(&new, &old, &seen, &DiffConfig::default());
    let mut diff = shown(canary, baseline, verdict);
    for finding in &mut diff.findings {
        let id = PatternId(finding.id.parse().unwrap_or_default());
        finding.samples = answers.sample(matchers(scope, Some(canary)), id, window).await.into_iter().collect();
    }
    Ok(diff)
}

fn matchers(scope: &Scope, version: Option<&Version>) -> Vec<Matcher> {
    let mut all = vec![
        Matcher::equal("service_name", scope.service.as_str()),
        Matcher::equal("deployment_environment", scope.environment.as_str()),
    ];
    all.extend(version.map(|v| Matcher::equal("service_version", v.as_str())));
    all
}

async fn counts(
    store: &LogStore,
    scope: &Scope,
    version: &Version,
    start_ns: i64,
    end_ns: i64,
) -> Result<Vec<PatternCount>, SourceError> {
    let (store, range) = (store.clone(), LabelRange::new(matchers(scope, Some(version)), start_ns, end_ns));
    let (rows, missing) = match tokio::task::spawn_blocking(move || store.patterns(&range)).await {
        Ok(found) => found,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    match missing.first() {
        // Counts with holes judge nobody.
        Some(hole) => Err(SourceError::Unreachable { what: "logs".into(), why: hole.to_string() }),
        None => Ok(rows),
    }
}

fn requests(cohorts: &[CohortCount], version: &Version) -> u64 {
    let of = |c: &&CohortCount| c.cohort.get("version").is_some_and(|v| v == version.as_str());
    cohorts.iter().filter(of).map(|c| c.total).sum()
}

fn shown(canary: &Version, baseline: &Version, verdict: DiffVerdict) -> ReleaseDiff {
    let (word, why, findings) = match verdict {
        DiffVerdict::Quiet => ("quiet", None, vec![]),
        DiffVerdict::Suspect(findings) => ("suspect", None, findings),
        DiffVerdict::Bad(findings) => ("bad", None, findings),
        DiffVerdict::Unknown { why } => ("unknown", Some(why), vec![]),
    };
    let findings = findings.into_iter().map(|f| DiffFinding {
        id: f.id.0.to_string(),
        template: f.template,
        severity: f.severity.map(|s| s.as_str().to_owned()),
        canary_count: f.canary_count,
        baseline_count: f.base_count,
        canary_requests: f.canary_requests,
        baseline_requests: f.base_requests,
        g: f.g,
        ratio: f.ratio,
        samples: f.samples,
    });
    ReleaseDiff {
        canary: canary.clone(),
        baseline: baseline.clone(),
        verdict: word.into(),
        why,
        findings: findings.collect(),
    }
}

/// Says each pattern's first sight, in order, and goes on after a restart where it stopped.
pub(crate) struct FirstSights {
    pub(crate) store: LogStore,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) scribe: Scribe,
    pub(crate) own: Arc<Own>,
}

impl FirstSights {
    pub(crate) async fn run(self, cancel: CancellationToken) -> Result<(), ObserveError> {
        let known = || async { Ok(last_said(self.log.as_ref()).await?) };
        let Some(last) = insist(&self.own, &cancel, "patterns", known).await? else { return Ok(()) };
        // A store that was begun anew numbers its patterns anew.
        let mut last = if last.0 as usize <= self.store.health().patterns { last } else { PatternId::OTHER };
        let (mut minute, mut said) = (Instant::now(), 0);
        while !cancel.is_cancelled() {
            if minute.elapsed() >= Duration::from_mins(1) {
                (minute, said) = (Instant::now(), 0);
            }
            for info in self.store.patterns_after(last, MAX_FACTS_A_MINUTE - said) {
                last = info.id;
                if let Some(fact) = first_sight(info) {
                    said += 1;
                    self.scribe.say_once(format!("pattern:{}:{}:{}", fact.pattern, fact.service, fact.version), &fact);
                }
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        Ok(())
    }
}

/// The last pattern a fact was appended about.
async fn last_said(log: &dyn EventLog) -> Result<PatternId, lem_ledger::LedgerError> {
    let filter = Filter::types(["log.patternfirstseen"]).source(crate::service::SOURCE);
    let (mut next, mut last) = (0, PatternId::OTHER);
    loop {
        let page = log.read(next, &filter, MAX_READ).await?;
        let Some(event) = page.last() else { return Ok(last) };
        next = event.seq + 1;
        let ids = page.iter().filter_map(|e| e.read::<PatternFirstSeen>()?.pattern.parse().ok());
        last = PatternId(ids.max().unwrap_or(0).max(last.0));
    }
}

/// A first sight is a fact only when a release of a service in an environment said it.
fn first_sight(info: PatternInfo) -> Option<PatternFirstSeen> {
    Some(PatternFirstSeen {
        pattern: info.id.0.to_string(),
        template: info.template,
        severity: info.severity.map_or("unknown", |s| s.as_str()).into(),
        service: info.first_seen.service?.into(),
        environment: info.first_seen.environment?.into(),
        version: info.first_seen.version?.into(),
    })
}

/// Patterns of a store as reports.
pub(crate) async fn report(
    store: &Arc<dyn crate::engine::LogStore>,
    range: LabelRange,
) -> Result<(Vec<PatternReport>, Vec<String>), LogFailure> {
    let (rows, warnings) = store.patterns(range).await?;
    Ok((reports(rows), warnings.iter().map(ToString::to_string).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lem_engine_logs::{FirstSeen, Severity};

    fn row(id: u32, severity: Severity, version: Option<&str>, count: u64) -> PatternCount {
        let first = FirstSeen { ts_ns: 5, version: Some("v1".into()), environment: None, service: None };
        PatternCount {
            id: PatternId(id),
            template: format!("template {id}"),
            severity: Some(severity),
            version: version.map(ToOwned::to_owned),
            environment: None,
            count,
            bytes: 0,
            first_seen: Some(first),
        }
    }

    #[test]
    fn rows_become_reports_per_pattern() {
        let found = reports(vec![
            row(1, Severity::Info, Some("v1"), 3),
            row(2, Severity::Error, Some("v2"), 20),
            row(1, Severity::Error, Some("v2"), 4),
            row(1, Severity::Info, None, 1),
        ]);
        let text: Vec<String> = found
            .iter()
            .map(|r| {
                let versions: Vec<String> =
                    r.versions.iter().map(|v| format!("{}={}", v.version.as_deref().unwrap_or("?"), v.count)).collect();
                format!("{} {} {:?} {}", r.id, r.count, r.severity.as_deref(), versions.join(" "))
            })
            .collect();
        assert_eq!(text, [r#"2 20 Some("error") v2=20"#, r#"1 8 Some("error") v1=3 v2=4 ?=1"#]);
        assert_eq!(found[0].first_version.as_deref(), Some("v1"));
    }

    #[test]
    fn without_a_release_there_is_no_first_sight() {
        let info = |version: Option<&str>| PatternInfo {
            id: PatternId(7),
            template: "a <_>".into(),
            aliases: vec![],
            severity: None,
            first_seen: FirstSeen {
                ts_ns: 0,
                version: version.map(ToOwned::to_owned),
                environment: Some("production".into()),
                service: Some("shop".into()),
            },
            versions: vec![],
        };
        assert_eq!(first_sight(info(None)), None);
        let fact = first_sight(info(Some("v2")));
        assert_eq!(fact.map(|f| (f.pattern, f.severity)), Some(("7".to_owned(), "unknown".to_owned())));
    }
}
