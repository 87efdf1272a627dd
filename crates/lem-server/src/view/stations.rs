//! The stations around the delivery path on the home page, and what of theirs needs a person.

use crate::dto::{FindingRow, FindingStanding, NowItem, NowKind, Number, Severity, State};
use crate::port::Costs;
use crate::record::Record;
use crate::view::counted;
use crate::view::home::{Says, count};
use crate::view::optimize::total;
use crate::view::secure::findings;
use jiff::Timestamp;
use jiff::tz::Offset;
use lem_model::fact::PlanCounts;

fn changes(counts: PlanCounts) -> usize {
    (counts.create + counts.update + counts.replace + counts.delete) as usize
}

/// Plans that no apply came after.
fn waiting(record: &Record) -> impl Iterator<Item = (&str, usize)> {
    let stages = &record.stages;
    stages.plans.iter().filter_map(|(key, plan)| {
        let applied = stages.applies.get(key).is_some_and(|a| a.seq > plan.seq);
        let changes = changes(plan.fact.counts);
        (!applied && changes > 0).then_some((key.0.as_str(), changes))
    })
}

fn is_open(finding: &FindingRow) -> bool {
    finding.standing == FindingStanding::Open
}

fn drifted(record: &Record) -> usize {
    let stages = &record.stages;
    let newer = |key, seq| stages.applies.get(key).is_none_or(|a| a.seq < seq);
    stages.drift.iter().filter(|(key, d)| newer(*key, d.seq)).map(|(_, d)| d.fact.changes.len()).sum()
}

/// Provision.
pub(crate) fn provision(record: &Record) -> Says {
    let stages = &record.stages;
    let planned: usize = waiting(record).map(|(_, changes)| changes).sum();
    let failed = stages.applies.values().filter(|a| !a.fact.failed.is_empty()).count();
    let drifted = drifted(record);
    let number = count("changes planned", planned);
    if failed > 0 {
        let sentence = format!("The last apply of {} did not finish.", counted(failed, "environment", "environments"));
        return Says { state: State::Bad, word: "failed", sentence, number };
    }
    if drifted > 0 {
        let sentence = format!("{} from what was applied.", counted(drifted, "resource differs", "resources differ"));
        return Says { state: State::Bad, word: "drifted", sentence, number };
    }
    if let Some((environment, changes)) = waiting(record).next() {
        let sentence = format!("A plan of {} for {environment} waits.", counted(changes, "change", "changes"));
        return Says { state: State::Waiting, word: "plan waits", sentence, number };
    }
    match stages.applies.len() {
        0 => {
            Says { state: State::Unknown, word: "idle", sentence: "Nothing was planned or applied yet.".into(), number }
        }
        n => {
            let sentence = format!("{} as applied.", counted(n, "environment is", "environments are"));
            Says { state: State::Ok, word: "applied", sentence, number }
        }
    }
}

/// Secure.
pub(crate) fn secure(record: &Record) -> Says {
    let Some(scan) = &record.stages.scan else {
        return Says { state: State::Unknown, word: "idle", sentence: "Nothing was scanned yet.".into(), number: None };
    };
    let rows = findings(record);
    let open = |severity: Severity| rows.iter().filter(move |f| is_open(f) && f.severity == severity);
    let (critical, high) = (open(Severity::Critical).count(), open(Severity::High).count());
    let running = open(Severity::Critical).filter(|f| !f.running.is_empty()).count();
    let number = count("open criticals", critical);
    if critical > 0 {
        let sentence = match running {
            0 => {
                format!(
                    "{} open; none in what runs now.",
                    counted(critical, "critical finding is", "critical findings are")
                )
            }
            n => format!("{} in what runs now.", counted(n, "critical finding is", "critical findings are")),
        };
        return Says { state: State::Bad, word: "critical", sentence, number };
    }
    if high > 0 {
        return Says {
            state: State::Waiting,
            word: "findings",
            sentence: format!("{} open.", counted(high, "high finding is", "high findings are")),
            number,
        };
    }
    let sentence = match scan.fact.unknown {
        0 => "No high or critical finding is open.".to_owned(),
        n => format!(
            "No high or critical finding is open; {} could not be judged.",
            counted(n as usize, "value", "values")
        ),
    };
    Says { state: State::Ok, word: "clean", sentence, number }
}

/// Optimize.
pub(crate) fn optimize(record: &Record, costs: Option<&Costs>) -> Says {
    let stages = &record.stages;
    let newest = stages.newest_costs();
    let asked = costs.filter(|c| c.monthly.is_some());
    let recorded = || total(newest.values().map(|c| &c.fact.after));
    let monthly = asked.map_or_else(recorded, |c| c.monthly.clone());
    let recorded = || newest.values().map(|c| c.fact.unknown.len()).sum();
    let unknown: usize = asked.map_or_else(recorded, |c| c.unpriced.len());
    let advice = stages.advice.values().filter(|a| a.is_open()).count();
    let number = monthly.as_ref().map(|m| Number {
        label: "a month".into(),
        value: m.amount.round_dp(2).to_string().parse().unwrap_or(f64::NAN),
        unit: m.currency.clone(),
    });
    let over =
        stages.budgets.values().find(|b| newest.get(b.fact.environment.as_str()).is_some_and(|c| c.seq <= b.seq));
    if let Some(over) = over {
        let fact = &over.fact;
        let sentence = format!("{} is at {} of {} a month.", fact.budget, fact.estimate, fact.limit);
        return Says { state: State::Bad, word: "over budget", sentence, number };
    }
    let Some(monthly) = monthly else {
        let sentence = match advice {
            0 => "Nothing was priced yet.".to_owned(),
            n => format!("{}.", counted(n, "recommendation waits", "recommendations wait")),
        };
        return Says { state: State::Unknown, word: "idle", sentence, number };
    };
    let known = if unknown > 0 {
        format!("At least {monthly} a month; {} not priced.", counted(unknown, "resource is", "resources are"))
    } else {
        format!("{monthly} a month.")
    };
    match advice {
        0 => Says { state: State::Ok, word: "in budget", sentence: known, number },
        n => Says {
            state: State::Waiting,
            word: "advice",
            sentence: format!("{}. {known}", counted(n, "recommendation waits", "recommendations wait")),
            number,
        },
    }
}

/// Plans, expired exceptions, and budgets that need a person.
pub(crate) fn need_a_person(record: &Record, now: Timestamp) -> Vec<NowItem> {
    let stages = &record.stages;
    let mut items = vec![];
    for (environment, changes) in waiting(record) {
        let plan = stages.plans.iter().find(|(key, _)| key.0 == environment).map(|(_, plan)| plan);
        let Some(plan) = plan else { continue };
        items.push(NowItem {
            kind: NowKind::Approval,
            title: format!("a plan for {environment}"),
            sentence: format!(
                "{} to be applied in {}",
                counted(changes, "change waits", "changes wait"),
                plan.fact.root
            ),
            href: "/provision".into(),
            since: plan.at.into(),
            severity: State::Waiting,
        });
    }
    let critical = findings(record).into_iter();
    let critical = critical.filter(|f| is_open(f) && f.severity == Severity::Critical && !f.running.is_empty()).count();
    if let Some(scan) = stages.scan.as_ref().filter(|_| critical > 0) {
        items.push(NowItem {
            kind: NowKind::Finding,
            title: counted(critical, "critical finding in what runs now", "critical findings in what runs now"),
            sentence: "mend it, or accept it by name for a time".into(),
            href: "/secure?show=running".into(),
            since: scan.at.into(),
            severity: State::Bad,
        });
    }
    let today = Offset::UTC.to_datetime(now).date();
    for granted in stages.exceptions.iter().filter(|e| e.fact.exception.expires < today) {
        let exception = &granted.fact.exception;
        items.push(NowItem {
            kind: NowKind::Exception,
            title: format!("an exception expired on {}", exception.expires),
            sentence: format!("{}: {}", exception.covers, exception.reason),
            href: "/secure/exceptions".into(),
            since: granted.at.into(),
            severity: State::Bad,
        });
    }
    for over in stages.budgets.values() {
        let fact = &over.fact;
        items.push(NowItem {
            kind: NowKind::Budget,
            title: format!("{} is over budget", fact.budget),
            sentence: format!("{} of {} a month in {}", fact.estimate, fact.limit, fact.environment),
            href: "/optimize".into(),
            since: over.at.into(),
            severity: State::Waiting,
        });
    }
    items
}
