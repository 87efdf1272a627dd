//! When the symptom began: the earliest changepoint of its series, as an interval, never the time of the alert, which
//! is late by `for` and a scrape.

use super::stats::{Band, quantile};
use jiff::Timestamp;
use lem_model::fact::Onset;
use lem_model::port::Series;

/// How far outside its band a series must be, in widths, to count as a symptom.
pub const SYMPTOM_Z: f64 = 3.0;
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

/// The earliest onset among several symptom series; `before` is the time of the alert, after which nothing began.
pub fn earliest(series: &[Series], floor: f64, before: Timestamp) -> Option<Onset> {
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

    #[test]
    fn gaps_do_not_matter() {
        let onset = changepoint(&series(&[0.0, f64::NAN, 0.0, 0.0, 0.9, 0.9]), 0.01).expect("a step");
        assert_eq!(onset.to.as_second(), 40);
    }
}
