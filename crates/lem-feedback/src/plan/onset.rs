//! When the symptom began: the earliest changepoint of its series, as an interval, never the time of the alert, which
//! is late by `for` and a scrape.

use super::factor::{ERROR_RATIO, RATIO_FLOOR};
use super::stats::{Band, quantile};
use jiff::Timestamp;
use lem_model::Version;
use lem_model::fact::Onset;
use lem_model::port::Series;

/// How far outside its band a series must be, in widths, to count as a symptom.
pub const SYMPTOM_Z: f64 = 3.0;
/// The same for a version the judge condemned: that it is worse is proved, only the moment is sought.
pub const COHORT_Z: f64 = 1.0;
/// Points before the changepoint without which nothing can be said.
pub const MIN_BASELINE: usize = 3;

/// The changepoint that best splits a series into a quiet and a loud part, when the loud part is outside the quiet
/// part's band. `floor` is the smallest width of that band, in the unit of the series.
pub fn changepoint(series: &Series, floor: f64) -> Option<Onset> {
    let points: Vec<_> = series.points.iter().filter(|(_, v)| v.is_finite()).collect();
    let values: Vec<f64> = points.iter().map(|(_, v)| *v).collect();
    let split = best_split(&values)?;
    let band = Band::of(&values[..split], floor)?;
    let loud = quantile(&values[split..], 0.5)?;
    if band.z(loud) < SYMPTOM_Z {
        return None;
    }
    // The change lies between the last quiet point and the first loud one.
    let first_loud = (split..values.len()).find(|i| band.z(values[*i]) >= SYMPTOM_Z)?;
    Some(Onset { from: points[first_loud - 1].0, to: points[first_loud].0, query: series.query.clone() })
}

/// Index that minimises the squared error of a two-step fit; the classic single changepoint (Hinkley 1970).
fn best_split(values: &[f64]) -> Option<usize> {
    let n = values.len();
    if n < MIN_BASELINE + 1 {
        return None;
    }
    let total: f64 = values.iter().sum();
    let mut left = 0.0;
    let mut best: Option<(f64, usize)> = None;
    for (i, value) in values.iter().enumerate().take(n - 1) {
        left += value;
        let (a, b) = ((i + 1) as f64, (n - i - 1) as f64);
        // Sum of squares explained by the split.
        let gain = left * left / a + (total - left) * (total - left) / b;
        if i + 1 >= MIN_BASELINE && best.is_none_or(|(most, _)| gain > most) {
            best = Some((gain, i + 1));
        }
    }
    best.map(|(_, split)| split)
}

/// A version the judge condemned: where it took traffic, its own failures are the symptom.
#[derive(Clone, Copy, Debug)]
pub struct Condemned<'a> {
    /// Version.
    pub version: &'a Version,
    /// When it first took traffic.
    pub exposed_at: Timestamp,
}

/// When a symptom that was detected at a time began, by the series that shows it best: a condemned version's own
/// failures, else those of the whole service, else its latency, else the failures of any one version, which may be too
/// few to move the whole.
pub fn of_symptom(series: &[Series], condemned: Option<Condemned<'_>>, detected_at: Timestamp) -> Option<Onset> {
    let of = |signal: &str, versioned: bool| -> Vec<&Series> {
        let is = |s: &&Series| s.labels.get("signal").is_some_and(|s| s == signal);
        series.iter().filter(is).filter(|s| s.labels.contains_key("version") == versioned).collect()
    };
    condemned
        .and_then(|c| of_cohort(series, c, detected_at))
        .or_else(|| earliest(&of(ERROR_RATIO, false), RATIO_FLOOR, detected_at))
        .or_else(|| earliest(&of("latency", false), RATIO_FLOOR, detected_at))
        .or_else(|| earliest(&of(ERROR_RATIO, true), RATIO_FLOOR, detected_at))
}

/// When a condemned version began to fail: its first point above the band of everybody else's error ratio, as it has
/// no past of its own. Where no point stands out, the judge saw finer than the series: it began somewhere between the
/// first traffic and the verdict.
fn of_cohort(series: &[Series], condemned: Condemned<'_>, detected_at: Timestamp) -> Option<Onset> {
    let ratios = || series.iter().filter(|s| s.labels.get("signal").is_some_and(|s| s == ERROR_RATIO));
    let is_own = |s: &&Series| s.labels.get("version").is_some_and(|v| *v == condemned.version.as_str());
    let own = ratios().find(is_own)?;
    let exposed_at = condemned.exposed_at;
    let others = ratios().filter(|s| !is_own(s));
    // The whole service's ratio holds the version's own failures once it takes traffic.
    let quiet = others.flat_map(|s| {
        let alone = s.labels.contains_key("version");
        s.points.iter().filter(move |(t, v)| v.is_finite() && (alone || *t <= exposed_at)).map(|(_, v)| *v)
    });
    let band = Band::of(&quiet.collect::<Vec<_>>(), RATIO_FLOOR)?;
    let mut from = exposed_at;
    let points = own.points.iter().filter(|(t, v)| v.is_finite() && *t > exposed_at && *t <= detected_at);
    for (at, value) in points {
        if band.z(*value) > COHORT_Z {
            return Some(Onset { from, to: *at, query: own.query.clone() });
        }
        from = *at;
    }
    Some(Onset { from: exposed_at, to: detected_at.max(exposed_at), query: own.query.clone() })
}

/// The earliest onset among several symptom series; `before` is the time of the alert, after which nothing began.
pub fn earliest(series: &[&Series], floor: f64, before: Timestamp) -> Option<Onset> {
    series.iter().filter_map(|s| changepoint(s, floor)).filter(|o| o.from <= before).min_by_key(|o| o.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let points =
            values.iter().enumerate().map(|(i, v)| (Timestamp::constant(i as i64 * 10, 0), *v)).collect::<Vec<_>>();
        Series { query: "q".into(), labels: [].into(), points }
    }

    #[test]
    fn onset_is_between_the_last_quiet_and_the_first_loud_point() {
        let onset = changepoint(&series(&[0.0, 0.01, 0.0, 0.0, 0.01, 0.2, 0.22, 0.19]), 0.01).expect("a step");
        assert_eq!((onset.from.as_second(), onset.to.as_second()), (40, 50));
    }

    #[test]
    fn quiet_or_short_series_have_no_onset() {
        for values in [&[0.01, 0.0, 0.01, 0.0, 0.01, 0.01][..], &[0.0, 0.5], &[], &[0.5, 0.5, 0.5, 0.5, 0.0, 0.0]] {
            assert_eq!(changepoint(&series(values), 0.01), None, "{values:?}");
        }
    }

    fn labelled(signal: &str, version: Option<&str>, from: i64, values: &[f64]) -> Series {
        let points = (0_i64..).zip(values).map(|(i, v)| (Timestamp::constant(from + i * 10, 0), *v)).collect();
        let labels = [("signal", Some(signal)), ("version", version)];
        let labels = labels.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
        Series { query: format!("{signal} {}", version.unwrap_or("all")), labels, points }
    }

    fn found(series: &[Series], condemned: Option<i64>) -> Option<(i64, i64, String)> {
        let version = Version::from("b");
        let condemned = condemned.map(|at| Condemned { version: &version, exposed_at: Timestamp::constant(at, 0) });
        let onset = of_symptom(series, condemned, Timestamp::constant(100, 0))?;
        Some((onset.from.as_second(), onset.to.as_second(), onset.query))
    }

    #[test]
    fn a_condemned_version_is_read_from_its_own_series() {
        let whole = labelled(ERROR_RATIO, None, 0, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.004, 0.009, 0.009, 0.01]);
        let stable = labelled(ERROR_RATIO, Some("a"), 0, &[0.0; 10]);
        let own = |values: &[f64]| labelled(ERROR_RATIO, Some("b"), 50, values);
        let check = |values: &[f64]| found(&[whole.clone(), stable.clone(), own(values)], Some(45));
        assert_eq!(check(&[0.04, 0.05, 0.05]), Some((45, 50, "error_ratio b".into())), "bad from the first request");
        assert_eq!(check(&[0.0, 0.0, 0.05, 0.05]), Some((60, 70, "error_ratio b".into())));
        assert_eq!(check(&[0.0, 0.005, 0.004]), Some((45, 100, "error_ratio b".into())), "the judge saw finer");
        assert_eq!(found(&[whole], Some(45)), None, "no series of its own, and the whole hardly moved");
    }

    #[test]
    fn failing_requests_go_before_slow_ones() {
        let slow = labelled("latency", None, 0, &[0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
        let slow_still = labelled("latency", None, 0, &[0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
        let failing = labelled(ERROR_RATIO, None, 0, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.2, 0.2, 0.2]);
        assert_eq!(found(&[slow, failing.clone()], None).map(|f| f.0), Some(50));
        assert_eq!(found(std::slice::from_ref(&slow_still), None).map(|f| f.0), Some(20));
        let one = labelled(ERROR_RATIO, Some("b"), 0, &[0.0, 0.0, 0.0, 0.0, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]);
        assert_eq!(found(&[one], None).map(|f| f.0), Some(30), "too few requests to move the whole");
        assert_eq!(found(&[slow_still, failing], None).map(|f| f.2), Some("error_ratio all".into()));
    }

    #[test]
    fn gaps_do_not_matter() {
        let onset = changepoint(&series(&[0.0, f64::NAN, 0.0, 0.0, 0.9, 0.9]), 0.01).expect("a step");
        assert_eq!(onset.to.as_second(), 40);
    }
}
