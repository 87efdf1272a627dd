//! Infracost's JSON document (`version` 0.2). Every number is a string or null; null is our unknown.

use crate::plan::estimate::{Component, Estimate, Line, Side, month_hours};
use jiff::Timestamp;
use lem_model::money::Money;
use lem_model::resource::ResourceAction;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// Version of the document's shape.
pub const VERSION: &str = "0.2";

/// The document of one project.
pub fn document(estimate: &Estimate, name: &str, path: &str, now: Timestamp) -> Value {
    let (past, current) = (estimate.known_before(), estimate.known_after());
    let diff = estimate.delta();
    let summary = summary(estimate);
    let project = json!({
        "name": name,
        "metadata": {"path": path, "type": "terraform_dir", "vcsRepoUrl": "", "vcsSubPath": "", "vcsPullRequestUrl": "",
            "terraformWorkspace": "default"},
        "pastBreakdown": breakdown(estimate, |l| l.before.as_ref(), &past),
        "breakdown": breakdown(estimate, |l| l.after.as_ref(), &current),
        "diff": difference(estimate, &diff),
        "summary": summary,
    });
    json!({
        "version": VERSION,
        "currency": estimate.currency,
        "projects": [project],
        "totalHourlyCost": hourly(&current),
        "totalMonthlyCost": number(current.amount),
        "pastTotalHourlyCost": hourly(&past),
        "pastTotalMonthlyCost": number(past.amount),
        "diffTotalHourlyCost": hourly(&diff),
        "diffTotalMonthlyCost": number(diff.amount),
        "timeGenerated": now.to_string(),
        "summary": summary,
    })
}

fn number(amount: Decimal) -> String {
    amount.normalize().to_string()
}

fn hourly(money: &Money) -> String {
    number((money.amount / month_hours()).round_dp(12))
}

fn breakdown<'a>(estimate: &'a Estimate, side: impl Fn(&'a Line) -> Option<&'a Side>, total: &Money) -> Value {
    let priced = estimate.lines.iter().filter(|l| !l.free);
    let resources: Vec<Value> = priced.filter_map(|l| Some(resource(l, side(l)?))).collect();
    json!({"resources": resources, "totalHourlyCost": hourly(total), "totalMonthlyCost": number(total.amount)})
}

fn resource(line: &Line, side: &Side) -> Value {
    let known = side.known();
    json!({
        "name": line.address,
        "resourceType": line.kind,
        "tags": {},
        "metadata": {"place": line.place},
        "hourlyCost": known.as_ref().map(hourly),
        "monthlyCost": known.as_ref().map(|m| number(m.amount)),
        "costComponents": side.components.iter().map(component).collect::<Vec<_>>(),
        "subresources": [],
    })
}

fn component(component: &Component) -> Value {
    let quantity = component.quantity.as_ref().ok().map(|(amount, _)| *amount);
    json!({
        "name": component.name,
        "unit": component.unit,
        "hourlyQuantity": quantity.map(|q| number((q / month_hours()).round_dp(12))),
        "monthlyQuantity": quantity.map(number),
        "price": component.price.as_ref().ok().map(|p| number(p.amount)),
        "hourlyCost": component.monthly.as_ref().map(hourly),
        "monthlyCost": component.monthly.as_ref().map(|m| number(m.amount)),
    })
}

fn difference(estimate: &Estimate, total: &Money) -> Value {
    let changed = estimate.lines.iter().filter(|l| !l.free && l.action != Some(ResourceAction::NoOp));
    let resources: Vec<Value> = changed
        .map(|l| {
            let delta = l.delta(&estimate.currency);
            json!({
                "name": l.address, "resourceType": l.kind, "tags": {}, "metadata": {"place": l.place},
                "hourlyCost": delta.as_ref().map(hourly), "monthlyCost": delta.as_ref().map(|m| number(m.amount)),
                "costComponents": [], "subresources": [],
            })
        })
        .collect();
    json!({"resources": resources, "totalHourlyCost": hourly(total), "totalMonthlyCost": number(total.amount)})
}

fn summary(estimate: &Estimate) -> Value {
    let mut counts: [Map<String, Value>; 3] = [Map::new(), Map::new(), Map::new()];
    let (mut supported, mut unsupported, mut usage, mut free) = (0_u64, 0_u64, 0_u64, 0_u64);
    for line in &estimate.lines {
        let side = line.after.as_ref().or(line.before.as_ref());
        let slot = if line.free {
            free += 1;
            2
        } else if side.is_some_and(|s| s.unsupported.is_some()) {
            unsupported += 1;
            1
        } else {
            supported += 1;
            0
        };
        usage += u64::from(side.is_some_and(|s| s.components.iter().any(Component::depends_on_usage)));
        let count = counts[slot].get(&line.kind).and_then(Value::as_u64).unwrap_or(0) + 1;
        counts[slot].insert(line.kind.clone(), count.into());
    }
    let [estimated, unsupported_counts, no_price] = counts;
    json!({
        "totalDetectedResources": estimate.lines.len(),
        "totalSupportedResources": supported,
        "totalUnsupportedResources": unsupported,
        "totalUsageBasedResources": usage,
        "totalNoPriceResources": free,
        "supportedResourceCounts": estimated,
        "unsupportedResourceCounts": unsupported_counts,
        "noPriceResourceCounts": no_price,
    })
}
