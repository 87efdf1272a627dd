//! Whether an intervention helped: the symptom back in its band, and staying there, soon enough.

use super::factor::RATIO_FLOOR;
use super::stats::Band;
use crate::config::Config;
use jiff::{SignedDuration, Timestamp};
use lem_model::fact::Onset;
use lem_model::port::Series;

/// How far outside its band a recovered series may be.
const RECOVERED_Z: f64 = 3.0;

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

/// Judges the symptom's error-ratio series after an intervention at `acted_at`.
pub fn outcome(series: &[Series], onset: &Onset, acted_at: Timestamp, now: Timestamp, config: &Config) -> Outcome {
    let Some(symptom) = series.iter().find(|s| s.query == onset.query) else { return waiting(acted_at, now, config) };
    let finite = || symptom.points.iter().filter(|(_, v)| v.is_finite());
    let before: Vec<f64> = finite().filter(|(t, _)| *t <= onset.from).map(|p| p.1).collect();
    let Some(band) = Band::of(&before, RATIO_FLOOR) else { return waiting(acted_at, now, config) };
    let calm = |value: f64| band.z(value) < RECOVERED_Z;

    let last_before = finite().rev().find(|(t, _)| *t <= acted_at);
    if last_before.is_some_and(|(t, v)| *t > onset.to && calm(*v)) {
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
        outcome(&series, &onset, at(60), at(now), &config)
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
}
