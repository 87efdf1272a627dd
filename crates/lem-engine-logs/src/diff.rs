//! The release log diff: what the new release says that the old one, at the same time, does not. Pure.
//!
//! A naive diff is worthless, because half of ordinary patterns occur in only one half of any traffic. So a pattern
//! counts only if it is significant against the exposures of both arms, much more frequent, frequent enough, persistent,
//! bad, and not what releases always say while they start.

use std::collections::{BTreeMap, BTreeSet};

use crate::pattern::PatternId;
use crate::record::Severity;

/// Whether metrics of the canary are bad at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherSignal {
    /// Rate, errors, duration and objectives are as they should be.
    Calm,
    /// One of them is not.
    Breached,
    /// Nobody said.
    #[default]
    Unknown,
}

/// One arm during one window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// When it began; windows of both arms pair by this.
    pub start_ns: i64,
    /// Requests the arm served: its exposure.
    pub requests: u64,
    /// Lines per pattern.
    pub counts: BTreeMap<PatternId, u64>,
}

/// What a finding shows of a pattern.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatternFacts {
    /// The template.
    pub template: String,
    /// The worst severity seen.
    pub severity: Option<Severity>,
    /// Redacted sample lines.
    pub samples: Vec<String>,
}

/// One arm over consecutive windows, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatternWindow {
    /// The windows.
    pub windows: Vec<Window>,
    /// What is known of the patterns.
    pub patterns: BTreeMap<PatternId, PatternFacts>,
    /// What the metrics of this arm say.
    pub other_signal: OtherSignal,
}

/// Patterns that some earlier release said in its first minutes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenBefore {
    /// Muted.
    pub start_up: BTreeSet<PatternId>,
}

/// Thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffConfig {
    /// G above this is significant; 23.93 is p < 1e-6 at one degree of freedom.
    pub g_min: f64,
    /// Smallest smoothed rate ratio, canary to baseline.
    pub ratio_min: f64,
    /// Fewest canary lines per window.
    pub count_min: u64,
    /// Consecutive windows a pattern has to stand out in.
    pub windows: usize,
    /// Fewest requests per arm and window that allow a judgement.
    pub requests_min: u64,
    /// Samples in a finding.
    pub samples_max: usize,
}

impl Default for DiffConfig {
    fn default() -> Self {
        Self { g_min: 23.93, ratio_min: 3.0, count_min: 10, windows: 2, requests_min: 50, samples_max: 3 }
    }
}

/// A pattern that stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The pattern.
    pub id: PatternId,
    /// Its template.
    pub template: String,
    /// The worst severity seen.
    pub severity: Option<Severity>,
    /// Lines of the canary in the judged windows.
    pub canary_count: u64,
    /// Lines of the baseline in the judged windows.
    pub base_count: u64,
    /// Requests of the canary in the judged windows.
    pub canary_requests: u64,
    /// Requests of the baseline in the judged windows.
    pub base_requests: u64,
    /// The smallest G of the judged windows.
    pub g: f64,
    /// The smallest rate ratio of the judged windows.
    pub ratio: f64,
    /// Redacted sample lines.
    pub samples: Vec<String>,
}

/// What the logs say about a release.
#[derive(Debug, Clone, PartialEq)]
pub enum DiffVerdict {
    /// Nothing stands out.
    Quiet,
    /// Something stands out in the logs alone: pause.
    Suspect(Vec<Finding>),
    /// Something stands out and a metric agrees: roll back.
    Bad(Vec<Finding>),
    /// No judgement is possible. Never "healthy".
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// Judges the last `cfg.windows` windows of both arms.
pub fn judge_diff(canary: &PatternWindow, base: &PatternWindow, seen: &SeenBefore, cfg: &DiffConfig) -> DiffVerdict {
    let pairs = match pair_windows(canary, base, cfg) {
        Ok(pairs) => pairs,
        Err(why) => return DiffVerdict::Unknown { why },
    };
    let breached = canary.other_signal == OtherSignal::Breached;
    let candidates: BTreeSet<PatternId> = pairs.iter().flat_map(|(c, _)| c.counts.keys().copied()).collect();
    let mut findings: Vec<Finding> = candidates
        .into_iter()
        .filter(|id| *id != PatternId::OTHER && !seen.start_up.contains(id))
        .filter_map(|id| standing_out(id, &pairs, canary, cfg))
        .filter(|f| breached || f.severity.is_some_and(|s| s >= Severity::Error))
        .collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.g.total_cmp(&a.g)).then(a.id.cmp(&b.id)));
    match (findings.is_empty(), breached) {
        (true, _) => DiffVerdict::Quiet,
        (false, true) => DiffVerdict::Bad(findings),
        (false, false) => DiffVerdict::Suspect(findings),
    }
}

type Pair<'a> = (&'a Window, &'a Window);

/// The windows to judge, or what is missing.
fn pair_windows<'a>(
    canary: &'a PatternWindow,
    base: &'a PatternWindow,
    cfg: &DiffConfig,
) -> Result<Vec<Pair<'a>>, String> {
    if base.windows.is_empty() {
        return Err("no concurrent baseline".to_owned());
    }
    let wanted = cfg.windows.max(1);
    if canary.windows.len() < wanted {
        return Err(format!("{} of {wanted} windows so far", canary.windows.len()));
    }
    let last = &canary.windows[canary.windows.len() - wanted..];
    last.iter()
        .map(|c| {
            let b = base.windows.iter().find(|b| b.start_ns == c.start_ns);
            let b = b.ok_or_else(|| format!("no baseline for the window at {}", c.start_ns))?;
            for (arm, requests) in [("canary", c.requests), ("baseline", b.requests)] {
                if requests < cfg.requests_min.max(1) {
                    let min = cfg.requests_min.max(1);
                    return Err(format!("the {arm} served {requests} requests in a window, {min} are needed"));
                }
            }
            Ok((c, b))
        })
        .collect()
}

/// The finding, if the pattern stands out in every window.
fn standing_out(id: PatternId, pairs: &[Pair<'_>], canary: &PatternWindow, cfg: &DiffConfig) -> Option<Finding> {
    let facts = canary.patterns.get(&id).cloned().unwrap_or_default();
    let mut finding = Finding {
        id,
        template: facts.template,
        severity: facts.severity,
        canary_count: 0,
        base_count: 0,
        canary_requests: 0,
        base_requests: 0,
        g: f64::INFINITY,
        ratio: f64::INFINITY,
        samples: facts.samples.into_iter().take(cfg.samples_max).collect(),
    };
    for (c, b) in pairs {
        let (a_count, b_count) = (count(c, id), count(b, id));
        let g = g_statistic(a_count, b_count, c.requests, b.requests);
        let ratio = rate_ratio(a_count, b_count, c.requests, b.requests);
        if g <= cfg.g_min || ratio < cfg.ratio_min || a_count < cfg.count_min {
            return None;
        }
        finding.canary_count += a_count;
        finding.base_count += b_count;
        finding.canary_requests += c.requests;
        finding.base_requests += b.requests;
        finding.g = finding.g.min(g);
        finding.ratio = finding.ratio.min(ratio);
    }
    Some(finding)
}

fn count(window: &Window, id: PatternId) -> u64 {
    window.counts.get(&id).copied().unwrap_or(0)
}

/// G = 2 Σ O ln(O/E), with the counts expected from the exposures.
fn g_statistic(a: u64, b: u64, n_a: u64, n_b: u64) -> f64 {
    let (a, b, n_a, n_b) = (a as f64, b as f64, n_a as f64, n_b as f64);
    let expected_a = (a + b) * n_a / (n_a + n_b);
    let expected_b = (a + b) - expected_a;
    let term = |o: f64, e: f64| if o > 0.0 { o * (o / e).ln() } else { 0.0 };
    2.0 * (term(a, expected_a) + term(b, expected_b))
}

/// Half a line is added to each arm, so that a pattern the baseline never said has a finite ratio.
fn rate_ratio(a: u64, b: u64, n_a: u64, n_b: u64) -> f64 {
    ((a as f64 + 0.5) / n_a as f64) / ((b as f64 + 0.5) / n_b as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: PatternId = PatternId(1);

    fn arm(windows: &[(u64, u64)], severity: Severity, other_signal: OtherSignal) -> PatternWindow {
        let window = |(at, (requests, count)): (usize, &(u64, u64))| Window {
            start_ns: at as i64 * 60_000_000_000,
            requests: *requests,
            counts: [(ERROR, *count)].into_iter().filter(|(_, n)| *n > 0).collect(),
        };
        let samples = (0..5).map(|i| format!("sample {i}")).collect();
        let facts = PatternFacts { template: "payment failed: <_>".into(), severity: Some(severity), samples };
        PatternWindow {
            windows: windows.iter().enumerate().map(window).collect(),
            patterns: [(ERROR, facts)].into(),
            other_signal,
        }
    }

    fn word(verdict: &DiffVerdict) -> String {
        match verdict {
            DiffVerdict::Quiet => "quiet".to_owned(),
            DiffVerdict::Suspect(f) => format!("suspect {}", f.len()),
            DiffVerdict::Bad(f) => format!("bad {}", f.len()),
            DiffVerdict::Unknown { why } => format!("unknown: {why}"),
        }
    }

    #[test]
    fn table() {
        use OtherSignal::{Breached, Calm};
        use Severity::{Error, Info};
        for (name, canary, base, severity, signal, expect) in [
            ("new errors", &[(500, 30), (500, 30)][..], &[(500, 0), (500, 0)][..], Error, Calm, "suspect 1"),
            ("and a breach", &[(500, 30), (500, 30)], &[(500, 0), (500, 0)], Error, Breached, "bad 1"),
            ("information", &[(500, 30), (500, 30)], &[(500, 0), (500, 0)], Info, Calm, "quiet"),
            ("information and a breach", &[(500, 30), (500, 30)], &[(500, 0), (500, 0)], Info, Breached, "bad 1"),
            ("same rate", &[(500, 30), (500, 30)], &[(500, 28), (500, 33)], Error, Breached, "quiet"),
            ("same rate, small arm", &[(50, 30), (50, 30)], &[(450, 270), (450, 270)], Error, Calm, "quiet"),
            ("fewer", &[(500, 3), (500, 3)], &[(500, 300), (500, 300)], Error, Calm, "quiet"),
            ("only twice the rate", &[(5000, 400), (5000, 400)], &[(5000, 200), (5000, 200)], Error, Calm, "quiet"),
            ("too few lines", &[(50, 9), (50, 9)], &[(5000, 0), (5000, 0)], Error, Calm, "quiet"),
            ("not persistent", &[(500, 0), (500, 30)], &[(500, 0), (500, 0)], Error, Calm, "quiet"),
            ("over again", &[(500, 30), (500, 30), (500, 0)], &[(500, 0); 3], Error, Calm, "quiet"),
            ("late", &[(500, 0), (500, 30), (500, 30)], &[(500, 0); 3], Error, Calm, "suspect 1"),
            ("no baseline", &[(500, 30), (500, 30)], &[], Error, Breached, "unknown: no concurrent baseline"),
            ("one window", &[(500, 30)], &[(500, 0)], Error, Calm, "unknown: 1 of 2 windows so far"),
            (
                "few requests",
                &[(500, 30), (20, 20)],
                &[(500, 0), (500, 0)],
                Error,
                Calm,
                "unknown: the canary served 20 requests in a window, 50 are needed",
            ),
            (
                "baseline without traffic",
                &[(500, 30), (500, 30)],
                &[(500, 0), (0, 0)],
                Error,
                Calm,
                "unknown: the baseline served 0 requests in a window, 50 are needed",
            ),
            (
                "baseline ends early",
                &[(500, 30), (500, 30)],
                &[(500, 0)],
                Error,
                Calm,
                "unknown: no baseline for the window at 60000000000",
            ),
        ] {
            let canary = arm(canary, severity, signal);
            let base = arm(base, severity, Calm);
            let verdict = judge_diff(&canary, &base, &SeenBefore::default(), &DiffConfig::default());
            assert_eq!(word(&verdict), expect, "{name}");
        }
    }

    #[test]
    fn start_up_noise_is_muted_and_evidence_is_complete() {
        let canary = arm(&[(500, 30), (400, 20)], Severity::Error, OtherSignal::Unknown);
        let base = arm(&[(500, 0), (600, 1)], Severity::Error, OtherSignal::Calm);
        let cfg = DiffConfig::default();
        let muted = SeenBefore { start_up: [ERROR].into() };
        assert_eq!(judge_diff(&canary, &base, &muted, &cfg), DiffVerdict::Quiet);
        let DiffVerdict::Suspect(found) = judge_diff(&canary, &base, &SeenBefore::default(), &cfg) else {
            panic!("not suspect")
        };
        let f = &found[0];
        assert_eq!((f.canary_count, f.base_count, f.canary_requests, f.base_requests), (50, 1, 900, 1100));
        assert_eq!(f.samples, ["sample 0", "sample 1", "sample 2"]);
        assert!(f.g > 23.93 && f.ratio >= 3.0);
    }

    #[test]
    fn g_is_the_likelihood_ratio() {
        // 2 * 30 * ln(30 / 15)
        assert!((g_statistic(30, 0, 100, 100) - 41.588_830_833_596_72).abs() < 1e-9);
        assert_eq!(g_statistic(10, 10, 7, 7), 0.0);
    }
}
