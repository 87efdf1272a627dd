//! Alert transitions (Prometheus 3, `rules/alerting.go`, followed step by step).

use lem_engine_promql::Labels;
use std::collections::BTreeMap;

/// A resolved alert is kept this long, so that the resolution is delivered.
pub const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;
/// An alert that goes on is sent again after this.
pub const RESEND_DELAY_MS: i64 = 60_000;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The condition is gone.
    Inactive,
    /// It holds, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

/// An alert of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Labels, `alertname` included.
    pub labels: Labels,
    /// Annotations, rendered.
    pub annotations: BTreeMap<String, String>,
    /// Value of the query.
    pub value: f64,
    /// Where it stands.
    pub state: State,
    /// Since when the condition holds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: i64,
    /// When the condition went away.
    pub resolved_at_ms: Option<i64>,
    /// When it was last handed to the notifier.
    pub sent_at_ms: Option<i64>,
    /// Since when it fires without its condition.
    pub keep_since_ms: Option<i64>,
    /// Until when a restart may leave the condition without data.
    pub restored_until_ms: Option<i64>,
}

impl Alert {
    /// A condition that just began to hold.
    pub fn begin(labels: Labels, annotations: BTreeMap<String, String>, value: f64, at_ms: i64) -> Self {
        Self {
            labels,
            annotations,
            value,
            state: State::Pending,
            active_at_ms: at_ms,
            fired_at_ms: 0,
            resolved_at_ms: None,
            sent_at_ms: None,
            keep_since_ms: None,
            restored_until_ms: None,
        }
    }

    /// Whether the notifier must hear of it now.
    pub fn needs_sending(&self, at_ms: i64) -> bool {
        match (self.state, self.sent_at_ms) {
            (State::Pending, _) => false,
            (_, None) => true,
            (_, Some(sent)) if self.resolved_at_ms.is_some_and(|r| r > sent) => true,
            (_, Some(sent)) => sent + RESEND_DELAY_MS < at_ms,
        }
    }
}

/// What a rule asks of its alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// How long the condition must hold.
    pub hold_ms: i64,
    /// How long it goes on firing without the condition.
    pub keep_firing_ms: i64,
    /// Alerts; 0 is no limit.
    pub limit: usize,
}

/// What changed for the outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It fires now.
    Fired(Alert),
    /// It no longer fires.
    Resolved(Alert),
}

/// The alerts of a rule, by the hash of their labels.
pub type Alerts = BTreeMap<u64, Alert>;

/// One evaluation: `found` is what the query gave. Changes the alerts and says what changed.
pub fn step(alerts: &mut Alerts, found: Vec<Alert>, holding: Holding, at_ms: i64) -> Result<Vec<Change>, String> {
    let mut present = std::collections::BTreeSet::new();
    for new in found {
        let key = new.labels.stable_hash();
        present.insert(key);
        match alerts.get_mut(&key).filter(|a| a.state != State::Inactive) {
            Some(known) => {
                known.value = new.value;
                known.annotations = new.annotations;
            }
            None => {
                alerts.insert(key, new);
            }
        }
    }
    let mut changes = vec![];
    alerts.retain(|key, alert| {
        if present.contains(key) {
            alert.keep_since_ms = None;
            alert.restored_until_ms = None;
            if alert.state == State::Pending && at_ms - alert.active_at_ms >= holding.hold_ms {
                alert.state = State::Firing;
                alert.fired_at_ms = at_ms;
                changes.push(Change::Fired(alert.clone()));
            }
            return true;
        }
        absent(alert, holding, at_ms, &mut changes)
    });
    let active = alerts.values().filter(|a| a.state != State::Inactive).count();
    if holding.limit > 0 && active > holding.limit {
        changes.retain(|c| matches!(c, Change::Resolved(_)));
        let firing = alerts.values().filter(|a| a.state == State::Firing && a.fired_at_ms != at_ms);
        changes.extend(firing.cloned().map(Change::Resolved));
        alerts.clear();
        return Err(format!("exceeded limit of {} with {active} alerts", holding.limit));
    }
    Ok(changes)
}

/// An alert whose condition is gone; gives whether it is kept.
fn absent(alert: &mut Alert, holding: Holding, at_ms: i64, changes: &mut Vec<Change>) -> bool {
    if alert.state == State::Firing {
        if alert.restored_until_ms.is_some_and(|until| at_ms < until) {
            return true;
        }
        if holding.keep_firing_ms > 0 {
            let since = *alert.keep_since_ms.get_or_insert(at_ms);
            if at_ms - since < holding.keep_firing_ms {
                return true;
            }
        }
        alert.state = State::Inactive;
        alert.resolved_at_ms = Some(at_ms);
        changes.push(Change::Resolved(alert.clone()));
        return true;
    }
    let told = alert.resolved_at_ms.is_some_and(|r| at_ms - r <= RESOLVED_RETENTION_MS);
    alert.state != State::Pending && told
}

/// Where a pending alert's clock stands after a restart (`RestoreForState`): `active_at_ms` is what the store remembers,
/// `last_ms` when it was last written.
pub fn restored_active_at(hold_ms: i64, grace_ms: i64, active_at_ms: i64, last_ms: i64, at_ms: i64) -> i64 {
    let spent = last_ms - active_at_ms;
    let left = hold_ms - spent;
    if left <= 0 {
        // It was firing, or just about to: it fires at the next evaluation.
        active_at_ms
    } else if left < grace_ms {
        at_ms + grace_ms - hold_ms
    } else {
        active_at_ms + (at_ms - last_ms)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn found(name: &str, at_ms: i64) -> Alert {
        Alert::begin(Labels::from_pairs([("alertname", name)]), BTreeMap::new(), 1.0, at_ms)
    }

    fn run(holding: Holding, trace: &[(i64, bool)]) -> Vec<String> {
        let mut alerts = Alerts::new();
        let mut told = vec![];
        for (at, present) in trace {
            let input = if *present { vec![found("A", *at)] } else { vec![] };
            for change in step(&mut alerts, input, holding, *at).unwrap() {
                told.push(match change {
                    Change::Fired(_) => format!("{at} fired"),
                    Change::Resolved(_) => format!("{at} resolved"),
                });
            }
        }
        told
    }

    #[test]
    fn transitions() {
        let check = |hold_ms, keep_firing_ms, trace: &[(i64, bool)], expect: &[&str]| {
            assert_eq!(run(Holding { hold_ms, keep_firing_ms, limit: 0 }, trace), expect, "{trace:?}");
        };
        check(0, 0, &[(0, true), (1, false)], &["0 fired", "1 resolved"]);
        check(4, 0, &[(0, true), (2, true), (3, true), (4, true), (5, true)], &["4 fired"]);
        check(4, 0, &[(0, true), (3, false), (4, true), (7, true), (8, true)], &["8 fired"]);
        check(0, 3, &[(0, true), (1, false), (3, false), (4, false)], &["0 fired", "4 resolved"]);
        check(
            0,
            3,
            &[(0, true), (1, false), (3, true), (4, false), (6, false), (7, false)],
            &["0 fired", "7 resolved"],
        );
        check(0, 0, &[(0, true), (1, false), (2, true)], &["0 fired", "1 resolved", "2 fired"]);
    }

    #[test]
    fn too_many_alerts_clear_all() {
        let mut alerts = Alerts::new();
        let holding = Holding { hold_ms: 0, keep_firing_ms: 0, limit: 1 };
        assert_eq!(step(&mut alerts, vec![found("A", 0)], holding, 0).unwrap().len(), 1);
        let error = step(&mut alerts, vec![found("A", 1), found("B", 1)], holding, 1).unwrap_err();
        assert_eq!(error, "exceeded limit of 1 with 2 alerts");
        assert!(alerts.is_empty());
    }

    #[test]
    fn restoring_the_clock() {
        let minute = 60_000;
        let check = |last, at, expect| {
            assert_eq!(restored_active_at(20 * minute, 10 * minute, 0, last * minute, at * minute), expect * minute);
        };
        check(20, 25, 0);
        check(5, 8, 3);
        check(15, 18, 8);
    }

    #[test]
    fn sending_at_once_again_later_and_when_over() {
        let mut alert = found("A", 0);
        assert!(!alert.needs_sending(0), "pending");
        alert.state = State::Firing;
        assert!(alert.needs_sending(0));
        alert.sent_at_ms = Some(0);
        assert!(!alert.needs_sending(RESEND_DELAY_MS) && alert.needs_sending(RESEND_DELAY_MS + 1));
        alert.resolved_at_ms = Some(5);
        assert!(alert.needs_sending(6));
    }
}
