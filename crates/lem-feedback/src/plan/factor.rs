//! The bounded factors of a score. Each renders one sentence with its numbers; unknown is said, and counts as the page
//! of each constant says.

use super::candidate::{Candidate, Reach};
use super::stats::{Band, fisher_greater};
use crate::state::KindHistory;
use jiff::Timestamp;
use lem_model::Version;
use lem_model::fact::{Factor, Onset};
use lem_model::port::{CohortCount, NewPattern, Scope, Series};
use lem_model::text::counted;
use std::collections::BTreeSet;

/// Time constant of the time factor.
const TIME_SCALE_S: f64 = 1_800.0;
/// What unknown topology and unknown anomaly count: what is not monitored must neither win nor vanish.
pub const UNKNOWN: f64 = 0.3;
/// Smallest width of an error-ratio band: one request in a hundred.
pub const RATIO_FLOOR: f64 = 0.01;
/// Where a z stops counting.
const Z_CAP: f64 = 50.0;
/// Failures without which a cohort says nothing. The test is exact, so few are enough; below this one client could be all
/// of them.
const MIN_FAILURES: u64 = 5;
/// Requests per cohort without which it says nothing.
pub const MIN_COHORT: u64 = 50;
/// Signal of failing requests.
pub const ERROR_RATIO: &str = "error_ratio";

fn factor(name: &str, value: f64, sentence: String) -> Factor {
    Factor { name: name.into(), value, sentence, query: None }
}

/// `exp(-lag / 30 min)`, 0 for what took effect after the onset.
pub fn time(candidate: &Candidate, onset: &Onset) -> Factor {
    let lag = onset.to.duration_since(candidate.effective_at).as_secs_f64();
    if lag < 0.0 {
        return factor("time", 0.0, "took effect after the symptom began".into());
    }
    let value = libm::exp(-lag / TIME_SCALE_S).clamp(0.02, 1.0);
    let sentence = format!("{} {} before the symptom began", candidate.effect, seconds(lag));
    factor("time", value, sentence)
}

/// What one hop along a dependency costs.
const HOP: f64 = 0.8;
/// What is known not to be connected.
const NO_PATH: f64 = 0.1;

/// Same service is no hop, what it stands on is one; without a call graph anything else is unknown.
pub fn topology(candidate: &Candidate, symptom: &Scope) -> Factor {
    let environment = candidate.reach.environment();
    if *environment != symptom.environment {
        let sentence = format!("reaches {environment}, not {}", symptom.environment);
        return factor("topology", NO_PATH, sentence);
    }
    match &candidate.reach {
        Reach::Service(scope) if scope == symptom => {
            factor("topology", 1.0, format!("changes {} itself", symptom.service))
        }
        Reach::Service(scope) => {
            factor("topology", UNKNOWN, format!("no recorded path from {} to {}", symptom.service, scope.service))
        }
        Reach::Ground { services, .. } if services.contains(&symptom.service) => {
            factor("topology", HOP, format!("changes what {} stands on", symptom.service))
        }
        Reach::Ground { services, .. } if services.is_empty() => {
            let sentence = format!("changes {environment}; nobody said which services stand on it");
            factor("topology", HOP * HOP, sentence)
        }
        Reach::Ground { services, .. } => {
            let named = services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            factor("topology", NO_PATH, format!("changes what {named} stand on, not {}", symptom.service))
        }
    }
}

/// `ln(1+z)/ln(51)` of the changed thing's own series against the time before the onset, and of its own count of
/// failures where that says more: a canary that is young has few points but exact counts.
pub fn anomaly(candidate: &Candidate, onset: &Onset, series: &[Series], cohorts: &[CohortCount]) -> Factor {
    let own: Vec<&Series> = series.iter().filter(|s| belongs(candidate, s)).collect();
    let scored = own.iter().filter_map(|s| z_after(s, onset, series).map(|z| (z, *s)));
    let measured = scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(z, s)| (z, signal(s), Some(s.query.clone())));
    let by_count = counted_z(candidate, onset, series, cohorts).map(|z| (z, "the share of failing requests", None));
    let worst = measured.into_iter().chain(by_count).max_by(|a, b| a.0.total_cmp(&b.0));
    let what = candidate.version.as_ref().map_or_else(|| candidate.name.clone(), ToString::to_string);
    let Some((z, name, query)) = worst else {
        return factor("anomaly", UNKNOWN, format!("no series of {what} to compare"));
    };
    let z = z.clamp(0.0, Z_CAP);
    let value = (libm::log(1.0 + z) / libm::log(1.0 + Z_CAP)).clamp(0.05, 1.0);
    Factor {
        query,
        ..factor(
            "anomaly",
            value,
            format!("{name} of {what} stands {} outside its band", counted(z.round() as u64, "width", "widths")),
        )
    }
}

fn signal(series: &Series) -> &str {
    series.labels.get("signal").map_or("a series", String::as_str)
}

/// A release answers for its version's series, an apply for all of the service's but the traffic it gets.
fn belongs(candidate: &Candidate, series: &Series) -> bool {
    match &candidate.version {
        Some(version) => series.labels.get("version").is_some_and(|v| *v == version.as_str()),
        None => signal(series) != "rate",
    }
}

/// The z of a version's share of failing requests, against the band of the others' error ratio before the onset.
fn counted_z(candidate: &Candidate, onset: &Onset, series: &[Series], cohorts: &[CohortCount]) -> Option<f64> {
    let version = candidate.version.as_ref()?;
    let (total, bad) = of_version(cohorts, version.as_str());
    if total < MIN_COHORT {
        return None;
    }
    let others = series.iter().filter(|s| signal(s) == ERROR_RATIO && !belongs(candidate, s));
    let band = Band::of(&others.flat_map(|s| split(s, onset).0).collect::<Vec<_>>(), RATIO_FLOOR)?;
    Some(band.z(bad as f64 / total as f64))
}

/// Requests and failures of one version.
fn of_version(cohorts: &[CohortCount], version: &str) -> (u64, u64) {
    let own = cohorts.iter().filter(|c| c.cohort.get("version").is_some_and(|v| v == version));
    own.fold((0, 0), |(total, bad), c| (total + c.total, bad + c.bad.min(c.total)))
}

/// Requests of all versions but one: without them a cohort says nothing.
pub fn others(cohorts: &[CohortCount], version: &Version) -> u64 {
    cohorts.iter().map(|c| c.total).sum::<u64>() - of_version(cohorts, version.as_str()).0
}

/// Largest z after the onset, against the series' own past, or, for a version that had none, the service's.
fn z_after(series: &Series, onset: &Onset, all: &[Series]) -> Option<f64> {
    let floor = if series.labels.get("signal").is_some_and(|s| s.contains("ratio")) { RATIO_FLOOR } else { 1e-3 };
    let (before, after) = split(series, onset);
    let band = Band::of(&before, floor).or_else(|| {
        let signal = series.labels.get("signal");
        let others = all
            .iter()
            .filter(|s| s.labels.get("signal") == signal && s.labels.get("version") != series.labels.get("version"));
        Band::of(&others.flat_map(|s| split(s, onset).0).collect::<Vec<_>>(), floor)
    })?;
    // The median after the onset, not the peak: one odd scrape must not convict anybody.
    super::stats::median(&after).map(|value| band.z(value))
}

/// Values up to the onset, and after it.
fn split(series: &Series, onset: &Onset) -> (Vec<f64>, Vec<f64>) {
    let (mut before, mut after) = (vec![], vec![]);
    for (at, value) in series.points.iter().filter(|(_, v)| v.is_finite()) {
        if *at <= onset.from { before.push(*value) } else { after.push(*value) }
    }
    (before, after)
}

/// Whether failures concentrate on the candidate's version.
pub fn cohort(candidate: &Candidate, cohorts: &[CohortCount]) -> Factor {
    let Some(version) = &candidate.version else { return alike(cohorts) };
    let (total, bad) = cohorts.iter().fold((0, 0), |(t, b), c| (t + c.total, b + c.bad.min(c.total)));
    let (total_in, bad_in) = of_version(cohorts, version.as_str());
    let others = total - total_in;
    if total_in < 1 || others < MIN_COHORT || bad < MIN_FAILURES {
        let sentence = format!("{bad} failing requests, {others} on other versions: too few to compare versions");
        return factor("cohort", 1.0, sentence);
    }
    let p = fisher_greater(bad_in, total_in, bad, total);
    let (share_bad, share) = (bad_in as f64 / bad as f64, total_in as f64 / total as f64);
    let sentence =
        format!("{bad_in} of {bad} failing requests on {version}, which took {:.0} % of the traffic", share * 100.0);
    if share_bad >= 0.9 && p < 0.001 {
        return factor("cohort", 4.0, sentence);
    }
    let ratio = share_bad / share;
    if (0.8..=1.25).contains(&ratio) && total >= MIN_COHORT {
        return factor("cohort", 0.25, sentence + ": no more than its share");
    }
    // Between the two: as far as the failures lean, within the same bounds.
    factor("cohort", ratio.clamp(0.25, 2.0), sentence)
}

/// What changes every version alike should make them all fail: failures of one version alone speak against it.
fn alike(cohorts: &[CohortCount]) -> Factor {
    let (total, bad) = cohorts.iter().fold((0, 0), |(t, b), c| (t + c.total, b + c.bad.min(c.total)));
    let versions: BTreeSet<&String> = cohorts.iter().filter_map(|c| c.cohort.get("version")).collect();
    for version in versions.into_iter().filter(|_| bad >= MIN_FAILURES) {
        let (total_in, bad_in) = of_version(cohorts, version);
        let enough = total_in >= 1 && total - total_in >= MIN_COHORT;
        let concentrated =
            enough && bad_in as f64 / bad as f64 >= 0.9 && fisher_greater(bad_in, total_in, bad, total) < 0.001;
        if concentrated {
            let sentence =
                format!("changes every version alike, and {bad_in} of {bad} failing requests are on {version}");
            return factor("cohort", 0.25, sentence);
        }
    }
    factor("cohort", 1.0, "changes every version alike: there is none to compare".into())
}

/// `(confirmed + 1) / (seen + 2)` of the kind, relative to the mean over kinds.
pub fn prior(history: KindHistory, mean: f64) -> Factor {
    let rate = f64::from(history.confirmed + 1) / f64::from(history.seen + 2);
    let sentence = format!("{} of {} settled causes of this kind were right", history.confirmed, history.seen);
    factor("prior", (rate / mean).clamp(0.5, 2.0), sentence)
}

/// Share of the words in error lines that name the files of the diff.
pub fn text(candidate: &Candidate, patterns: &[NewPattern]) -> Factor {
    let said: BTreeSet<String> =
        patterns.iter().flat_map(|p| words(&p.sample).chain(words(&p.template)).collect::<Vec<_>>()).collect();
    let named: Vec<&str> =
        candidate.files.iter().map(|f| f.path.as_str()).filter(|path| mentions(&said, path)).collect();
    if named.is_empty() {
        return factor("text", 1.0, "error lines do not name the changed files".into());
    }
    let share = named.len() as f64 / candidate.files.len().max(1) as f64;
    let shown = named.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    factor("text", (1.0 + share).clamp(1.0, 2.0), format!("the diff touches {shown}, which error lines name"))
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let part = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    text.split(part).filter(|w| w.len() >= 4).map(str::to_lowercase)
}

fn mentions(said: &BTreeSet<String>, path: &str) -> bool {
    let path = path.to_lowercase();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // Names that every repository has prove nothing.
    let common = matches!(stem, "main" | "index" | "readme" | "lib" | "mod" | "test" | "config");
    said.contains(&path)
        || said.iter().any(|w| w.ends_with(name))
        || (!common && stem.len() >= 4 && said.contains(stem))
}

/// Larger changes are riskier, a little.
pub fn size(candidate: &Candidate) -> Factor {
    let value = (0.8 + libm::log(1.0 + f64::from(candidate.extent.count)) / 20.0).clamp(0.8, 1.25);
    factor("size", value, candidate.extent.sentence.clone())
}

/// What speaks against a candidate: × 0.3 each, never below 0.05.
pub fn counter_evidence(candidate: &Candidate, healthy_elsewhere: &[String]) -> (Factor, Vec<String>) {
    let mut against: Vec<String> =
        healthy_elsewhere.iter().map(|place| format!("the same artifact is healthy in {place}")).collect();
    if candidate.passed {
        against.push("its canary passed".into());
    }
    let value = libm::pow(0.3, against.len() as f64).max(0.05);
    let sentence = if against.is_empty() { "nothing speaks against it".into() } else { against.join("; ") };
    (factor("counterEvidence", value, sentence), against)
}

/// A surge of traffic competes as a cause that no change explains.
pub fn traffic(onset: &Onset, series: &[Series]) -> Option<(f64, String, String)> {
    let rate = series
        .iter()
        .find(|s| s.labels.get("signal").is_some_and(|s| s == "rate") && !s.labels.contains_key("version"))?;
    let (before, after) = split(rate, onset);
    let before = super::stats::median(&before).filter(|m| *m > 0.0)?;
    let after = super::stats::median(&after)?;
    let growth = after / before - 1.0;
    // Doubling is where a service that was sized with care begins to suffer.
    let strength = (growth - 0.5).clamp(0.0, 1.0);
    (strength > 0.0).then(|| (strength, format!("traffic rose by {:.0} %", growth * 100.0), rate.query.clone()))
}

/// A number of seconds as people say it.
pub fn seconds(value: f64) -> String {
    match value {
        v if v < 90.0 => format!("{v:.0} s"),
        v if v < 5_400.0 => format!("{:.0} min", v / 60.0),
        v => format!("{:.1} h", v / 3_600.0),
    }
}

/// Whether points reach up to a time: a stale series must not speak.
pub fn is_fresh(series: &[Series], now: Timestamp, max_age_s: f64) -> bool {
    let newest = series.iter().filter_map(|s| s.points.last()).map(|p| p.0).max();
    newest.is_some_and(|t| now.duration_since(t).as_secs_f64() <= max_age_s)
}
