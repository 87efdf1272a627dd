//! What a finished plan costs, from the files it was made of and what was estimated before it.

use super::estimate::{Estimate, Side};
use lem_model::fact::{BudgetExceeded, CostEstimated, PlanFinished, ResourceCost, UnknownCost};
use lem_model::money::Money;
use lem_model::port::GateAnswer;
use lem_model::resource::{ResourceAction, ResourceGraph};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

use super::budget::Budget;

/// Reason of a side that no earlier estimate recorded.
pub const NOT_RECORDED: &str = "what it cost before is not recorded";

/// The graph with what the plan does to each resource; what the plan does not name stays as it is.
pub fn with_actions(graph: &ResourceGraph, plan: &PlanFinished) -> ResourceGraph {
    let mut graph = graph.clone();
    let actions: BTreeMap<&str, ResourceAction> = plan.changes.iter().map(|c| (c.address.as_str(), c.action)).collect();
    for resource in &mut graph.resources {
        resource.action = Some(actions.get(resource.address.as_str()).copied().unwrap_or(ResourceAction::NoOp));
    }
    graph
}

/// The fact. Files do not say what a changed resource cost before: that comes from the estimate before this one, and is
/// unknown without it. Both totals leave out resources with an unknown side.
pub fn cost_estimated(estimate: &Estimate, plan: &PlanFinished, previous: Option<&CostEstimated>) -> CostEstimated {
    let money = |amount| Money { amount, currency: estimate.currency.clone() };
    let (mut before, mut after) = (Decimal::ZERO, Decimal::ZERO);
    let (mut resources, mut unknown) = (vec![], estimate.unknown());
    let recorded: BTreeMap<&str, Option<&Money>> = previous
        .map(|p| p.resources.iter().map(|r| (r.address.as_str(), r.after.as_ref())).collect())
        .unwrap_or_default();
    for line in estimate.lines.iter().filter(|l| !l.free) {
        let now = line.after.as_ref().and_then(Side::known);
        let past = match line.action {
            Some(ResourceAction::Create) => None,
            Some(ResourceAction::NoOp | ResourceAction::Forget) => now.clone(),
            _ => recorded.get(line.address.as_str()).copied().flatten().cloned(),
        };
        let existed = line.action != Some(ResourceAction::Create);
        let comparable = !line.unpriced() && (past.is_some() || !existed);
        if comparable {
            before += past.as_ref().map_or(Decimal::ZERO, |m| m.amount);
            after += now.as_ref().map_or(Decimal::ZERO, |m| m.amount);
        } else if !line.unpriced() {
            let reason = NOT_RECORDED.to_owned();
            unknown.push(UnknownCost { address: line.address.clone(), reason });
        }
        resources.push(ResourceCost { address: line.address.clone(), before: past, after: now });
    }
    for change in plan.changes.iter().filter(|c| c.action == ResourceAction::Delete) {
        match recorded.get(change.address.as_str()).copied().flatten() {
            Some(past) => {
                before += past.amount;
                let address = change.address.clone();
                resources.push(ResourceCost { address, before: Some(past.clone()), after: None });
            }
            None => unknown.push(UnknownCost {
                address: change.address.clone(),
                reason: "it is deleted, and what it cost is not recorded".into(),
            }),
        }
    }
    CostEstimated {
        plan: plan.plan.clone(),
        environment: plan.environment.clone(),
        before: money(before),
        after: money(after),
        resources,
        unknown,
        prices: estimate.prices.clone(),
        sha: plan.sha.clone(),
    }
}

/// A fact for every budget of the environment that the estimate does not keep.
pub fn budgets_exceeded(estimate: &Estimate, plan: &PlanFinished, budgets: &[Budget]) -> Vec<BudgetExceeded> {
    let own = budgets.iter().filter(|b| b.covers(Some(&plan.environment)));
    own.map(|b| b.judge(estimate))
        .filter(|s| matches!(s.answer, GateAnswer::Deny(_)))
        .filter_map(|s| {
            Some(BudgetExceeded {
                budget: s.budget.name,
                environment: plan.environment.clone(),
                limit: s.budget.monthly,
                estimate: s.estimate?,
                plan: plan.plan.clone(),
                sha: plan.sha.clone(),
            })
        })
        .collect()
}
