//! Whether an intervention helped: the symptom back in its band, and staying there, soon enough.

use super::factor::RATIO_FLOOR;
use super::onset::COHORT_Z;
use super::stats::{Band, median};
use crate::config::Config;
use jiff::{SignedDuration, Timestamp};
use lem_model::Version;
use lem_model::fact::Onset;
use lem_model::port::Series;

/// How far outside its band a recovered series may be.
const RECOVERED_Z: f64 = 3.0;
/// Points before an intervention that say whether the symptom was still there.
const LAST_POINTS: usize = 3;

type Points = Vec<(Timestamp, f64)>;

/// What can be said at a time after an intervention.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Too early to tell.
    Waiting,
    /// The symptom went away after the intervention and stayed away.
    Helped(String),
    /// It did not.
    DidNotHelp(String),
    /// It had gone away before: nothing is proved.
    RecoveredBefore,
}

/// What was done about a symptom.
#[derive(Clone, Copy, Debug)]
pub struct Intervention<'a> {
    /// Version that was taken off.
    pub version: Option<&'a Version>,
    /// When.
    pub at: Timestamp,
}

/// Judges the symptom's series after an intervention.
pub fn outcome(
    series: &[Series],
    onset: &Onset,
    intervention: Intervention<'_>,
    now: Timestamp,
    config: &Config,
) -> Outcome {
    let acted_at = intervention.at;
    let Some((points, is_cohort)) = symptom(series, onset, intervention) else {
        return waiting(acted_at, now, config);
    };
    let finite = || points.iter();
    let before: Vec<f64> = finite().filter(|(t, _)| *t <= onset.from).map(|p| p.1).collect();
    let Some(band) = Band::of(&before, RATIO_FLOOR) else { return waiting(acted_at, now, config) };
    let calm = |value: f64| band.z(value) < RECOVERED_Z;

    // One quiet point is no recovery, and a single version is already ill where it stands out of everybody's band.
    let limit = if is_cohort { COHORT_Z } else { RECOVERED_Z };
    let until: Vec<f64> = finite().filter(|(t, _)| *t > onset.to && *t <= acted_at).map(|p| p.1).collect();
    let last = median(&until[until.len().saturating_sub(LAST_POINTS)..]);
    if last.is_some_and(|value| band.z(value) < limit) {
        return Outcome::RecoveredBefore;
    }
    let after: Vec<_> = finite().filter(|(t, _)| *t > acted_at).collect();
    let calm_since = after.iter().rev().take_while(|(_, v)| calm(*v)).last().map(|(t, _)| *t);
    let Some(calm_since) = calm_since else { return waiting(acted_at, now, config) };
    let needed = signed(config.recovered_for);
    let newest = after.last().map_or(calm_since, |(t, _)| *t);
    if newest.duration_since(calm_since) >= needed {
        let took = calm_since.duration_since(acted_at).as_secs_f64();
        return Outcome::Helped(format!("the symptom was gone {} after the rollback", super::factor::seconds(took)));
    }
    waiting(acted_at, now, config)
}

/// The series the onset was read from. A version that was taken off has no series any more: up to then its own failures
/// are the symptom, before and after it those of the whole service, where they would have to go on. Says whether it was
/// read so.
fn symptom(series: &[Series], onset: &Onset, intervention: Intervention<'_>) -> Option<(Points, bool)> {
    let read: Vec<&Series> = series.iter().filter(|s| s.query == onset.query).collect();
    let is_own = |s: &&&Series| {
        intervention.version.is_some_and(|version| s.labels.get("version").is_some_and(|v| *v == version.as_str()))
    };
    let finite = |s: &Series| s.points.iter().copied().filter(|(_, v)| v.is_finite()).collect::<Vec<_>>();
    let Some(own) = read.iter().find(is_own) else {
        let whole = read.iter().find(|s| !s.labels.contains_key("version"))?;
        return Some((finite(whole), false));
    };
    let same = |s: &&Series| s.labels.get("signal") == own.labels.get("signal") && !s.labels.contains_key("version");
    let whole = finite(series.iter().find(same)?);
    let within = |t: &Timestamp| *t > onset.from && *t <= intervention.at;
    let before = whole.iter().copied().filter(|(t, _)| *t <= onset.from);
    let during = finite(own).into_iter().filter(|(t, _)| within(t));
    let after = whole.iter().copied().filter(|(t, _)| *t > intervention.at);
    Some((before.chain(during).chain(after).collect(), true))
}

fn waiting(acted_at: Timestamp, now: Timestamp, config: &Config) -> Outcome {
    let limit = signed(config.recovered_within) + signed(config.recovered_for);
    if now.duration_since(acted_at) <= limit {
        return Outcome::Waiting;
    }
    let minutes = config.recovered_within.as_secs_f64();
    Outcome::DidNotHelp(format!("the symptom was still there {} after the rollback", super::factor::seconds(minutes)))
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(s: i64) -> Timestamp {
        Timestamp::constant(s, 0)
    }

    fn check(values: &[(i64, f64)], now: i64) -> Outcome {
        let points = values.iter().map(|(t, v)| (at(*t), *v)).collect();
        let series = [Series { query: "q".into(), labels: [].into(), points }];
        let onset = Onset { from: at(30), to: at(40), query: "q".into() };
        let config = Config {
            recovered_for: Duration::from_secs(20),
            recovered_within: Duration::from_mins(1),
            ..Config::default()
        };
        outcome(&series, &onset, Intervention { version: None, at: at(60) }, at(now), &config)
    }

    const QUIET: [(i64, f64); 4] = [(0, 0.0), (10, 0.0), (20, 0.01), (30, 0.0)];

    #[test]
    fn calm_after_the_rollback_confirms() {
        let values =
            [&QUIET[..], &[(40, 0.3), (50, 0.3), (60, 0.3), (70, 0.1), (80, 0.0), (90, 0.0), (100, 0.0)]].concat();
        assert_eq!(check(&values, 100), Outcome::Helped("the symptom was gone 20 s after the rollback".into()));
        assert_eq!(check(&values[..10], 90), Outcome::Waiting, "calm, but not yet for long enough");
    }

    #[test]
    fn no_recovery_rejects_in_the_end() {
        let values = [&QUIET[..], &[(40, 0.3), (60, 0.3), (100, 0.3), (139, 0.3)]].concat();
        assert_eq!(check(&values, 139), Outcome::Waiting);
        assert!(matches!(check(&values, 141), Outcome::DidNotHelp(_)));
    }

    #[test]
    fn recovery_before_the_action_proves_nothing() {
        let values = [&QUIET[..], &[(40, 0.3), (50, 0.0), (55, 0.0), (70, 0.0), (100, 0.0)]].concat();
        assert_eq!(check(&values, 100), Outcome::RecoveredBefore);
    }

    #[test]
    fn a_canary_is_its_own_symptom_until_it_is_off() {
        let labels = |version: Option<&str>| {
            let pairs = [("signal", Some("error_ratio")), ("version", version)];
            pairs.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect()
        };
        let points = |values: &[(i64, f64)]| values.iter().map(|(t, v)| (at(*t), *v)).collect::<Vec<_>>();
        let config = Config { recovered_for: Duration::from_secs(20), ..Config::default() };
        let check = |after: f64| {
            // A tenth of the traffic fails at a twentieth: the whole never leaves its band.
            let whole = [(0, 0.0), (10, 0.0), (20, 0.0), (30, 0.0), (40, 0.005), (60, 0.005)];
            let whole = [&whole[..], &[(70, after), (80, after), (95, after)]].concat();
            let series = [
                Series { query: "all".into(), labels: labels(None), points: points(&whole) },
                Series { query: "by".into(), labels: labels(Some("b")), points: points(&[(40, 0.05), (60, 0.05)]) },
            ];
            let onset = Onset { from: at(30), to: at(40), query: "by".into() };
            let version = Version::from("b");
            outcome(&series, &onset, Intervention { version: Some(&version), at: at(60) }, at(95), &config)
        };
        assert!(matches!(check(0.0), Outcome::Helped(_)), "{:?}", check(0.0));
        assert_eq!(check(0.05), Outcome::Waiting, "the failures went on without it");
    }
}
