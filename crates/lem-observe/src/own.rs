//! What this stage says about itself, as metrics: what was lost, what failed, what waits. Nothing here fails silently.

use lem_model::port::Exposition;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Job under which these are stored.
pub const JOB: &str = "lem-observe";

/// Counters and states.
#[derive(Debug, Default)]
pub struct Own {
    ledger_errors: Mutex<BTreeMap<&'static str, u64>>,
    notifications: Mutex<BTreeMap<(String, &'static str), u64>>,
    away: Mutex<BTreeMap<&'static str, String>>,
    facts_waiting: AtomicU64,
    facts_lost: AtomicU64,
    lines_lost: AtomicU64,
    rule_failures: AtomicU64,
}

impl Own {
    /// The ledger did not do what `who` asked; it is asked again.
    pub(crate) fn ledger_failed(&self, who: &'static str, why: String) {
        *self.ledger_errors.lock().entry(who).or_default() += 1;
        self.away.lock().insert(who, why);
    }

    /// The ledger answers `who` again.
    pub(crate) fn ledger_answers(&self, who: &'static str) {
        self.away.lock().remove(who);
    }

    /// Who waits for the ledger now, and why.
    pub fn trouble(&self) -> BTreeMap<&'static str, String> {
        self.away.lock().clone()
    }

    /// How often the ledger failed, per part of this stage.
    pub fn ledger_errors(&self) -> BTreeMap<&'static str, u64> {
        self.ledger_errors.lock().clone()
    }

    /// Facts that were dropped because too many waited, or because the ledger refused them for good.
    pub fn facts_lost(&self) -> u64 {
        self.facts_lost.load(Ordering::Relaxed)
    }

    pub(crate) fn fact_lost(&self) {
        self.facts_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self, count: usize) {
        self.facts_waiting.store(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn notified(&self, receiver: &str, result: &'static str) {
        *self.notifications.lock().entry((receiver.to_owned(), result)).or_default() += 1;
    }

    pub(crate) fn rule_failed(&self) {
        self.rule_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lines_lost(&self, total: u64) {
        self.lines_lost.store(total, Ordering::Relaxed);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Exposition for Own {
    fn job(&self) -> &str {
        JOB
    }

    fn text(&self) -> String {
        let mut out = String::from("# TYPE lem_observe_ledger_errors_total counter\n");
        for (who, count) in self.ledger_errors() {
            let _ = writeln!(out, "lem_observe_ledger_errors_total{{part=\"{who}\"}} {count}");
        }
        out += "# TYPE lem_observe_notifications_total counter\n";
        for ((receiver, result), count) in self.notifications.lock().iter() {
            let receiver = escaped(receiver);
            let _ =
                writeln!(out, "lem_observe_notifications_total{{receiver=\"{receiver}\",result=\"{result}\"}} {count}");
        }
        let away = self.away.lock().len() as u64;
        for (name, kind, value) in [
            ("lem_observe_ledger_away", "gauge", away),
            ("lem_observe_facts_waiting", "gauge", self.facts_waiting.load(Ordering::Relaxed)),
            ("lem_observe_facts_lost_total", "counter", self.facts_lost()),
            ("lem_observe_log_lines_lost_total", "counter", self.lines_lost.load(Ordering::Relaxed)),
            ("lem_observe_rule_failures_total", "counter", self.rule_failures.load(Ordering::Relaxed)),
        ] {
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lem_engine_metrics::text::{Format, parse};

    #[test]
    fn what_it_says_is_an_exposition() {
        let own = Own::default();
        own.ledger_failed("incidents", "gone".into());
        own.notified("a \"team\"", "sent");
        let parsed = parse(&own.text(), Format::Prometheus).unwrap_or_default();
        assert_eq!(parsed.samples.len(), 7, "{}", own.text());
        assert_eq!(own.trouble(), [("incidents", "gone".to_owned())].into());
        own.ledger_answers("incidents");
        assert!(own.trouble().is_empty() && own.ledger_errors() == [("incidents", 1)].into());
    }
}
