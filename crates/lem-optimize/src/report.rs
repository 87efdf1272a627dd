//! The report for finance, and the sections engineering reads: pure folds over what the ledger and the files say.

use crate::config::Config;
use crate::plan::budget::Budget;
use crate::plan::lifecycle::Recommendation;
use crate::plan::observe::NOT_RECORDED;
use crate::plan::ownership::{Attributed, Dimension, shares};
use crate::state::{Estimated, OptimizeState};
use crate::text::signed;
use jiff::Timestamp;
use lem_model::money::Money;
use lem_model::report::{Section, Team, TeamReport};
use rust_decimal::Decimal;

/// Rows of one table.
pub const MAX_ROWS: usize = 100;

/// Cost by service, environment and team, what moved it, budgets, savings and what nobody knows.
pub fn finance(state: &OptimizeState, costs: &[Attributed], config: &Config, now: Timestamp) -> TeamReport {
    let mut report = TeamReport::new(Team::Finance, "What the services cost and what moved it", now);
    for (title, dimension) in [
        ("Cost by service", Dimension::Service),
        ("Cost by environment", Dimension::Environment),
        ("Cost by team", Dimension::Team),
    ] {
        report = report.with(by(title, costs, dimension, &config.currency));
    }
    report
        .with(estimates(state))
        .with(moved(state))
        .with(budgets(state, costs, config))
        .with(savings(state, config))
        .with(recommendations(state))
        .with(unknown(state, costs))
}

fn by(title: &str, costs: &[Attributed], dimension: Dimension, currency: &str) -> Section {
    let mut section = Section::new(title, &["Name", "Known a month", "Resources", "With an unknown part"]);
    for share in shares(costs, dimension, currency).into_iter().take(MAX_ROWS) {
        let least = if share.unknown > 0 { "at least " } else { "" };
        let known = format!("{least}{}", share.monthly);
        section.row([share.name, known, share.resources.to_string(), share.unknown.to_string()], None);
    }
    let note = if costs.is_empty() {
        "No infrastructure file was found that could be priced."
    } else {
        "Estimated from the files at list prices and the configured discounts; not an invoice."
    };
    section.noted(note)
}

fn estimates(state: &OptimizeState) -> Section {
    let columns = ["Folder", "Environment", "Known before", "Known after", "Change", "Unknown", "Prices"];
    let mut section = Section::new("Latest plan of every environment", &columns);
    for Estimated { root, fact, event } in state.current().into_iter().take(MAX_ROWS) {
        let cells = [
            root.clone().unwrap_or_default(),
            fact.environment.to_string(),
            fact.before.to_string(),
            fact.after.to_string(),
            change(&fact.before, &fact.after),
            fact.unknown.len().to_string(),
            fact.prices.clone(),
        ];
        section.row(cells, Some(*event));
    }
    if section.rows.is_empty() { section.noted("No plan has been priced yet.") } else { section }
}

fn change(before: &Money, after: &Money) -> String {
    if before.currency == after.currency {
        signed(&Money { amount: after.amount - before.amount, currency: after.currency.clone() })
    } else {
        "unknown: two currencies".into()
    }
}

/// The resources whose cost a plan changed, each with the plan and commit that did it.
fn moved(state: &OptimizeState) -> Section {
    let columns = ["Resource", "Environment", "Change a month", "Commit", "Plan"];
    let mut section = Section::new("Changes that moved the cost", &columns);
    let mut rows: Vec<(Decimal, [String; 5], u64)> = vec![];
    for Estimated { fact, event, .. } in &state.estimates {
        for resource in &fact.resources {
            let amount = |side: &Option<Money>| side.as_ref().map_or(Decimal::ZERO, |m| m.amount);
            let delta = amount(&resource.after) - amount(&resource.before);
            // A side that is unknown says nothing about a change.
            let mut reasons = fact.unknown.iter().filter(|u| u.address == resource.address);
            let blind = match (&resource.before, &resource.after) {
                (_, None) => reasons.next().is_some(),
                (None, _) => reasons.any(|u| u.reason == NOT_RECORDED),
                _ => false,
            };
            if delta.is_zero() || blind {
                continue;
            }
            let money = Money { amount: delta, currency: fact.after.currency.clone() };
            let commit = fact.sha.as_ref().map_or("-".to_owned(), |s| s.short().to_owned());
            let plan = fact.plan.hex().get(..12).unwrap_or_default().to_owned();
            let cells = [resource.address.clone(), fact.environment.to_string(), signed(&money), commit, plan];
            rows.push((delta.abs(), cells, *event));
        }
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(b.2.cmp(&a.2)));
    for (_, cells, event) in rows.into_iter().take(MAX_ROWS) {
        section.row(cells, Some(event));
    }
    if section.rows.is_empty() { section.noted("No plan changed a known cost.") } else { section }
}

/// What the files cost now where a budget looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// No file there has a price.
    Nothing,
    /// At least so much a month.
    Sum(Money),
    /// Two currencies have no sum.
    Mixed,
}

impl Known {
    /// Of the resources that a budget covers.
    pub fn of(costs: &[Attributed], budget: &Budget) -> Self {
        let covered = costs.iter().filter(|c| budget.covers(Some(&c.environment.as_str().into())));
        let mut amounts = covered.filter_map(|c| c.monthly.clone());
        let Some(first) = amounts.next() else { return Self::Nothing };
        amounts.try_fold(first, |sum, money| sum.plus(&money)).map_or(Self::Mixed, Self::Sum)
    }
}

fn budgets(state: &OptimizeState, costs: &[Attributed], config: &Config) -> Section {
    let columns = ["Budget", "Environment", "Limit a month", "Known a month", "Standing"];
    let mut section = Section::new("Budgets", &columns);
    for budget in &config.budgets {
        let over = state.exceeded.iter().rev().find(|(fact, _)| fact.budget == budget.name);
        let environment = budget.environment.as_ref().map_or("every".to_owned(), ToString::to_string);
        let current = state.current();
        let own: Vec<_> = current.iter().filter(|e| budget.covers(Some(&e.fact.environment))).collect();
        let newest = own.iter().map(|e| e.event).max();
        // The fact comes right after the estimate it is about: a later estimate without one keeps the budget.
        let is_over = over.is_some_and(|(_, event)| newest.is_none_or(|newest| *event > newest));
        let known = Known::of(costs, budget);
        let (estimate, standing) = match &known {
            Known::Sum(sum) if sum.currency == budget.monthly.currency => {
                let standing = if sum.amount > budget.monthly.amount { "exceeded" } else { "kept" };
                (sum.to_string(), standing)
            }
            Known::Sum(_) | Known::Mixed => ("unknown".to_owned(), "not in one currency"),
            // Nothing in the files: what was planned last stands.
            Known::Nothing => match over {
                Some((fact, _)) if is_over => (fact.estimate.to_string(), "exceeded"),
                _ if own.is_empty() => ("unknown".to_owned(), "nothing was priced"),
                _ => (own.iter().map(|e| e.fact.after.to_string()).collect::<Vec<_>>().join(", "), "kept"),
            },
        };
        // What the files cost now is in no event.
        let event = match known {
            Known::Nothing if is_over => over.map(|(_, event)| *event),
            Known::Nothing => newest,
            Known::Sum(_) | Known::Mixed => None,
        };
        section
            .row([budget.name.clone(), environment, budget.monthly.to_string(), estimate, standing.to_owned()], event);
    }
    if section.rows.is_empty() { section.noted("lem.yaml has no optimize.budgets.") } else { section }
}

fn savings(state: &OptimizeState, config: &Config) -> Section {
    let mut section = Section::new("Savings", &["Standing", "A month"]);
    let savings = state.recommendations.savings(&config.currency);
    for (standing, money) in
        [("proposed", savings.proposed), ("applied", savings.applied), ("verified", savings.verified)]
    {
        section.row([standing.to_owned(), money.to_string()], None);
    }
    section.noted("Three sums, never added together. A negative amount costs more.")
}

fn recommendations(state: &OptimizeState) -> Section {
    let columns = ["Recommendation", "Standing", "What to do", "Change a month", "Cause"];
    let mut section = Section::new("Recommendations", &columns);
    for Recommendation { advice, standing, event, .. } in state.recommendations.all().into_iter().take(MAX_ROWS) {
        let delta = advice.monthly_delta.as_ref().map_or("unknown".to_owned(), signed);
        let cells =
            [advice.recommendation.clone(), standing.to_string(), advice.sentence.clone(), delta, advice.cause.clone()];
        section.row(cells, Some(*event));
    }
    if section.rows.is_empty() { section.noted("There is none yet.") } else { section }
}

fn unknown(state: &OptimizeState, costs: &[Attributed]) -> Section {
    let mut section = Section::new("What nobody knows", &["Resource", "Why", "Where"]);
    for Estimated { fact, event, .. } in state.current() {
        for unknown in fact.unknown.iter().take(MAX_ROWS.saturating_sub(section.rows.len())) {
            section.row([unknown.address.clone(), unknown.reason.clone(), fact.environment.to_string()], Some(*event));
        }
    }
    for cost in costs.iter().filter(|c| c.monthly.is_none()).take(MAX_ROWS.saturating_sub(section.rows.len())) {
        if !section.rows.iter().any(|r| r.cells[0] == cost.address) {
            let why = "nothing of it has a price; lem cost show says why".to_owned();
            section.row([cost.address.clone(), why, cost.place.clone()], None);
        }
    }
    section.noted("None of this is counted as zero: every total above is at least what it says.")
}

/// Critical path and slowest steps of every pipeline, for engineering.
pub fn pipelines(state: &OptimizeState) -> Section {
    let columns = ["Pipeline", "Critical path", "Seconds", "Slowest step", "Grew"];
    let mut section = Section::new("Where pipelines spend their time", &columns);
    for (analysis, grown) in state.slow().into_iter().take(MAX_ROWS) {
        let slowest = analysis.slowest.first();
        let slowest =
            slowest.map_or("unknown".to_owned(), |s| format!("{} in {}: {} ms", s.name, s.job, s.duration_ms));
        let grown: Vec<String> =
            grown.iter().map(|g| format!("{} {:.0} % -> {:.0} %", g.job, g.before_percent, g.now_percent)).collect();
        let seconds = format!("{:.1}", analysis.path_ms as f64 / 1000.0);
        section.row([analysis.pipeline.clone(), analysis.path.join(" > "), seconds, slowest, grown.join(", ")], None);
    }
    if section.rows.is_empty() { section.noted("No run has ended well yet.") } else { section }
}
