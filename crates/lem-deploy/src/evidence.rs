//! From what the router and the logs counted to what the judge folds.

use crate::events::{ArmCounts, SignalShare};
use lem_engine_judge::dispersion::{self, Past};
use lem_engine_judge::sequential::{Clipped, Counts, Judge, Settings, Share, Signal, Verdict};
use lem_model::Version;
use std::collections::BTreeMap;

/// Signal: 5xx and broken responses, by the router.
pub const ERRORS: &str = "errors";
/// Signal: responses slower than the configured limit, by the router.
pub const LATENCY: &str = "latency";
/// Signal: lines of error level, by the log store.
pub const LOGS: &str = "logs";

/// Error lines one failure says, taken for granted: a message, its causes, a stack trace, a retry. What the judge accepts
/// of failing requests it accepts of so many lines.
pub const LINES_PER_FAILURE: f64 = 10.0;
/// φ of error lines when their past says too little about bursts.
pub const LOGS_PHI: f64 = LINES_PER_FAILURE;

/// Cumulative counts of one version, by the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Finished requests.
    pub requests: u64,
    /// Bad ones.
    pub bad: u64,
    /// Slower than the limit.
    pub slow: u64,
}

/// Tallies by version.
pub type Tallies = BTreeMap<Version, Tally>;

/// What was counted between two readings; `None` when the counters went back, because the router started anew.
pub fn between(before: Tally, after: Tally) -> Option<Tally> {
    Some(Tally {
        requests: after.requests.checked_sub(before.requests)?,
        bad: after.bad.checked_sub(before.bad)?,
        slow: after.slow.checked_sub(before.slow)?,
    })
}

/// Error lines of both versions in an interval, `None` when the source could not answer.
pub type Lines = Option<(u64, u64)>;

/// One interval as counts per signal, in the judge's order. A signal that could not be read is left out, with a note
/// on the first one.
pub fn counts(signals: &[Signal], canary: Tally, stable: Tally, lines: &Result<Lines, String>) -> Vec<ArmCounts> {
    let arm = |signal: &str, canary_bad, stable_bad| {
        let raw = Counts { canary: canary.requests, canary_bad, stable: stable.requests, stable_bad };
        let (fixed, clipped) = raw.clipped();
        let note = (clipped == Clipped::Yes).then(|| {
            format!(
                "more bad events than requests were counted ({canary_bad} and {stable_bad}); clipped to the requests"
            )
        });
        ArmCounts {
            signal: signal.to_owned(),
            canary: fixed.canary,
            canary_bad: fixed.canary_bad,
            stable: fixed.stable,
            stable_bad: fixed.stable_bad,
            note,
        }
    };
    let mut found: Vec<ArmCounts> = signals
        .iter()
        .filter_map(|signal| match (signal.name.as_str(), lines) {
            (ERRORS, _) => Some(arm(ERRORS, canary.bad, stable.bad)),
            (LATENCY, _) => Some(arm(LATENCY, canary.slow, stable.slow)),
            (LOGS, Ok(Some((canary, stable)))) => Some(arm(LOGS, *canary, *stable)),
            _ => None,
        })
        .collect();
    if let (Err(why), Some(first)) = (lines, found.first_mut()) {
        first.note = Some(format!("error lines could not be read: {why}"));
    }
    found
}

/// Recorded counts in the order of a judge's signals.
pub fn interval(judge: &Judge, counts: &[ArmCounts]) -> Vec<Option<Counts>> {
    let of = |signal: &Signal| {
        let arm = counts.iter().find(|c| c.signal == signal.name)?;
        Some(Counts { canary: arm.canary, canary_bad: arm.canary_bad, stable: arm.stable, stable_bad: arm.stable_bad })
    };
    judge.signals().iter().map(of).collect()
}

/// Which signals there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// A limit for slow responses is configured.
    pub latency: bool,
    /// A log store answers.
    pub logs: bool,
}

/// The stable version's past per signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Requests and errors per interval.
    pub errors: Vec<Past>,
    /// Requests and slow responses.
    pub latency: Vec<Past>,
    /// Requests and error lines.
    pub logs: Vec<Past>,
}

/// The signals of a judge with weights and φ. Errors weigh most: they are what users see.
pub fn signals(sources: Sources, history: &History) -> Vec<Signal> {
    let requests = |name: &str, weight: f64, past: &[Past]| {
        let phi = dispersion::estimate(past).unwrap_or(dispersion::UNKNOWN);
        Signal { weight, phi, ..Signal::only(name) }
    };
    let mut signals = vec![requests(ERRORS, 2.0, &history.errors)];
    if sources.latency {
        signals.push(requests(LATENCY, 1.0, &history.latency));
    }
    if sources.logs {
        let phi = dispersion::estimate(&history.logs).unwrap_or(LOGS_PHI);
        signals.push(Signal { weight: 1.0, phi, events_per_failure: LINES_PER_FAILURE, ..Signal::only(LOGS) });
    }
    let total: f64 = signals.iter().map(|s| s.weight).sum();
    for signal in &mut signals {
        signal.weight /= total;
    }
    signals
}

/// What the judge tolerates and how it corrects, as a sentence.
pub fn settings_sentence(settings: &Settings, signals: &[Signal], history: &History) -> String {
    let corrected: Vec<String> = signals
        .iter()
        .map(|s| {
            let past = match s.name.as_str() {
                ERRORS => &history.errors,
                LATENCY => &history.latency,
                _ => &history.logs,
            };
            match dispersion::estimate(past) {
                Some(phi) => {
                    format!("{} divided by {phi} for bursts, from {} intervals of the past", s.name, past.len())
                }
                None => format!("{} divided by {}, as the past says too little about bursts", s.name, s.phi),
            }
        })
        .collect();
    format!(
        "at most {} times the stable version's rate is tolerated, with a chance of a false rollback of at most {}; {}",
        settings.tolerance,
        settings.alpha,
        corrected.join("; ")
    )
}

/// What one signal counted, as a sentence.
pub fn share_sentence(share: &Share) -> String {
    let c = share.counts;
    let percent = |bad: u64, of: u64| {
        if of == 0 { "no requests".to_owned() } else { format!("{:.2} %", 100.0 * bad as f64 / of as f64) }
    };
    format!(
        "{}: new version {} bad of {} ({}), stable version {} bad of {} ({})",
        share.signal,
        c.canary_bad,
        c.canary,
        percent(c.canary_bad, c.canary),
        c.stable_bad,
        c.stable,
        percent(c.stable_bad, c.stable)
    )
}

/// The verdict as a sentence.
pub fn verdict_sentence(verdict: Verdict, shares: &[SignalShare]) -> String {
    let leading = shares.iter().max_by(|a, b| a.share.total_cmp(&b.share));
    let evidence = leading.map_or_else(String::new, |s| format!(": {}", s.sentence));
    match verdict {
        Verdict::Bad => format!("the new version is worse than tolerated{evidence}"),
        Verdict::Good => format!("the new version is not worse than allowed{evidence}"),
        Verdict::Undecided => format!("not enough evidence{evidence}"),
    }
}

/// What is missing for a verdict, as a sentence.
pub fn missing_sentence(judge: &Judge) -> String {
    match judge.needed_to_clear() {
        Some(0) => "the judge has cleared the new version".to_owned(),
        Some(n) => format!("about {n} more requests to the new version are needed before the judge can clear it"),
        None => {
            let seen: u64 = judge.shares().first().map_or(0, |s| s.counts.canary);
            format!(
                "after {seen} requests the new version fails too often to be cleared and not often enough to be condemned; \
                 promote or abort it"
            )
        }
    }
}
