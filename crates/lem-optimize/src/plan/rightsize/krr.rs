//! KRR's strategy as an option: CPU at a percentile without a limit, memory at the maximum with a margin.

use super::{Advice, Amounts, cpu_text, memory_text};
use lem_model::port::Series;

/// Name shown beside its advice, with the values it uses.
pub const NAME: &str = "krr (cpu p95, memory max + 15 %)";
/// Percentile of CPU use.
pub const CPU_PERCENTILE: f64 = 95.0;
/// Margin on the memory maximum, in percent.
pub const MEMORY_MARGIN_PERCENT: f64 = 15.0;
/// Margin on the limit at which a container was killed, in percent.
pub const OOM_MARGIN_PERCENT: f64 = 25.0;
/// Points it needs.
pub const MIN_POINTS: usize = 100;
/// History it needs.
pub const MIN_HISTORY_S: i64 = 3 * 3600;

/// Advice, or why there is none.
pub fn advise(cpu: &[Series], memory: &[Series], oom_limit: Option<f64>) -> Result<Advice, String> {
    let points: Vec<_> = cpu.iter().flat_map(|s| &s.points).filter(|(_, v)| v.is_finite() && *v >= 0.0).collect();
    let span = match (points.iter().map(|p| p.0).min(), points.iter().map(|p| p.0).max()) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs(),
        _ => 0,
    };
    if points.len() < MIN_POINTS || span < MIN_HISTORY_S {
        return Err(format!(
            "not enough data: {} points over {span} s; {MIN_POINTS} over {MIN_HISTORY_S} s are needed",
            points.len()
        ));
    }
    let mut cores: Vec<f64> = points.iter().map(|p| p.1).collect();
    cores.sort_by(f64::total_cmp);
    let p95 = percentile(&cores, CPU_PERCENTILE);
    let bytes = memory.iter().flat_map(|s| &s.points).map(|p| p.1).filter(|v| v.is_finite());
    let maximum = bytes.fold(0.0, f64::max);
    let mut needed = maximum * (1.0 + MEMORY_MARGIN_PERCENT / 100.0);
    if let Some(limit) = oom_limit {
        needed = needed.max(limit * (1.0 + OOM_MARGIN_PERCENT / 100.0));
    }
    let target = Amounts { cpu_milli: (p95 * 1000.0).ceil() as i64, memory_bytes: needed.ceil() as i64 };
    let steps = vec![format!(
        "p95 of CPU {}; memory maximum {} +15 % {}",
        cpu_text(target.cpu_milli),
        memory_text(maximum as i64),
        memory_text(target.memory_bytes)
    )];
    Ok(Advice { lower: target, target, upper: target, samples: points.len(), steps })
}

/// Linear interpolation between the nearest ranks, as numpy does it.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, share) = (rank.floor() as usize, rank.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * share
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use jiff::Timestamp;

    fn series(values: impl Iterator<Item = f64>, step_s: i64) -> Vec<Series> {
        let point = |(i, v): (usize, f64)| (Timestamp::from_second(i as i64 * step_s).unwrap(), v);
        vec![Series {
            query: String::new(),
            labels: Default::default(),
            points: values.enumerate().map(point).collect(),
        }]
    }

    #[test]
    fn the_percentile_and_the_maximum_answer() {
        let cpu = series((0..=100).map(|i| f64::from(i) / 100.0), 120);
        let memory = series([1e8, 2e8].into_iter(), 60);
        let advice = advise(&cpu, &memory, None).unwrap();
        assert_eq!(advice.target, Amounts { cpu_milli: 950, memory_bytes: 230_000_000 });
        let killed = advise(&cpu, &memory, Some(4e8)).unwrap();
        assert_eq!(killed.target.memory_bytes, 500_000_000);
    }

    #[test]
    fn too_little_is_said() {
        let short = series((0..99).map(f64::from), 600);
        assert!(advise(&short, &[], None).unwrap_err().starts_with("not enough data: 99 points"));
        let dense = series((0..200).map(f64::from), 1);
        assert!(advise(&dense, &[], None).unwrap_err().contains("over 199 s"));
    }
}
