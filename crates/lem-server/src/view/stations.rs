//! The stations around the delivery path on the home page, and what of theirs needs a person.

use crate::dto::{NowItem, NowKind, Number, State};
use crate::record::Record;
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
        let sentence = format!("The last apply of {failed} environments did not finish.");
        return Says { state: State::Bad, word: "failed", sentence, number };
    }
    if drifted > 0 {
        let sentence = format!("{drifted} resources differ from what was applied.");
        return Says { state: State::Bad, word: "drifted", sentence, number };
    }
    if let Some((environment, changes)) = waiting(record).next() {
        let sentence = format!("A plan of {changes} changes for {environment} waits.");
        return Says { state: State::Waiting, word: "plan waits", sentence, number };
    }
    match stages.applies.len() {
        0 => {
            Says { state: State::Unknown, word: "idle", sentence: "Nothing was planned or applied yet.".into(), number }
        }
        n => {
            let noun = if n == 1 { "environment is" } else { "environments are" };
            Says { state: State::Ok, word: "applied", sentence: format!("{n} {noun} as applied."), number }
        }
    }
}

/// Secure.
pub(crate) fn secure(record: &Record) -> Says {
    let Some(scan) = &record.stages.scan else {
        return Says { state: State::Unknown, word: "idle", sentence: "Nothing was scanned yet.".into(), number: None };
    };
    let rows = findings(record);
    let open = |severity: &str| rows.iter().filter(|f| f.standing == "open" && f.severity == severity).count();
    let (critical, high) = (open("critical"), open("high"));
    let running =
        rows.iter().filter(|f| f.standing == "open" && f.severity == "critical" && !f.running.is_empty()).count();
    let number = count("open criticals", critical);
    if critical > 0 {
        let sentence = match running {
            0 => format!("{critical} critical findings are open; none in what runs now."),
            n => format!("{n} critical findings are in what runs now."),
        };
        return Says { state: State::Bad, word: "critical", sentence, number };
    }
    if high > 0 {
        return Says {
            state: State::Waiting,
            word: "findings",
            sentence: format!("{high} high findings are open."),
            number,
        };
    }
    let sentence = match scan.fact.unknown {
        0 => "No high or critical finding is open.".to_owned(),
        n => format!("No high or critical finding is open; {n} values could not be judged."),
    };
    Says { state: State::Ok, word: "clean", sentence, number }
}

/// Optimize.
pub(crate) fn optimize(record: &Record) -> Says {
    let stages = &record.stages;
    let newest = stages.newest_costs();
    let monthly = total(newest.values().map(|c| &c.fact.after));
    let unknown: usize = newest.values().map(|c| c.fact.unknown.len()).sum();
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
            n => format!("{n} recommendations wait."),
        };
        return Says { state: State::Unknown, word: "idle", sentence, number };
    };
    let known = if unknown > 0 {
        format!("At least {monthly} a month; {unknown} resources are not priced.")
    } else {
        format!("{monthly} a month.")
    };
    match advice {
        0 => Says { state: State::Ok, word: "in budget", sentence: known, number },
        n => Says {
            state: State::Waiting,
            word: "advice",
            sentence: format!("{n} recommendations wait. {known}"),
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
            sentence: format!("{changes} changes of {} wait to be applied", plan.fact.root),
            href: "/provision".into(),
            since: plan.at.into(),
            severity: State::Waiting,
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
