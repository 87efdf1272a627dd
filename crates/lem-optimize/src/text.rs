//! What people read: the cost of a plan in lines.

use crate::plan::estimate::{Component, Estimate, Line, Side};
use jiff::civil::Date;
use lem_model::money::Money;
use lem_model::resource::ResourceAction;
use lem_model::text::counted;

/// Addresses named in one line.
pub const MAX_NAMED: usize = 10;

/// `+$34.20`; `$0.00` has no sign.
pub fn signed(money: &Money) -> String {
    let rounded = money.amount.round_dp(2);
    if rounded.is_zero() || rounded.is_sign_negative() { money.to_string() } else { format!("+{money}") }
}

/// `+$34.20/month known (2 added, 1 changed); 3 resources unpriced: a, b, c`.
pub fn change(estimate: &Estimate) -> String {
    use ResourceAction::{Create, CreateDelete, Delete, DeleteCreate, Update};
    // Files alone say nothing of what is there: all of it is new.
    let count = |wanted: &[ResourceAction]| {
        let of = |l: &&Line| !l.free && wanted.contains(&l.action.unwrap_or(Create));
        estimate.lines.iter().filter(of).count()
    };
    let counts = [
        (count(&[Create]), "added"),
        (count(&[Update, DeleteCreate, CreateDelete]), "changed"),
        (count(&[Delete]), "removed"),
    ];
    let counts: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let counts = if counts.is_empty() { "nothing changes".to_owned() } else { counts.join(", ") };
    let mut out = format!("{}/month known ({counts})", signed(&estimate.delta()));
    out += &unpriced(estimate);
    out
}

/// `$102.40/month`, `at least` when something is unknown.
pub fn total(estimate: &Estimate) -> String {
    let least = if estimate.unknown().is_empty() { "" } else { "at least " };
    format!("{least}{}/month{}", estimate.known_after(), unpriced(estimate))
}

fn unpriced(estimate: &Estimate) -> String {
    let mut out = String::new();
    let groups = [(estimate.unpriced(), "unpriced"), (estimate.partial(), "priced in part")];
    for (lines, word) in groups.iter().filter(|(lines, _)| !lines.is_empty()) {
        let named: Vec<&str> = lines.iter().take(MAX_NAMED).map(|l| l.address.as_str()).collect();
        let more = lines.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let number = counted(lines.len(), "resource", "resources");
        out += &format!("; {number} {word}: {}{more}", named.join(", "));
    }
    out
}

/// Every resource with its components: quantity × price, source and age.
pub fn breakdown(estimate: &Estimate, on: Date) -> String {
    let mut out = String::new();
    for line in estimate.lines.iter().filter(|l| !l.free) {
        let side = line.after.as_ref().or(line.before.as_ref());
        let known = side.and_then(Side::known).map_or_else(|| "unknown".to_owned(), |m| format!("{m}/month"));
        let action = match line.action {
            None | Some(ResourceAction::NoOp) => String::new(),
            Some(action) => format!(" ({})", action.word()),
        };
        out += &format!("{}{action}  {known}  [{}]\n", line.address, line.place);
        if let Some(why) = side.and_then(|s| s.unsupported.as_ref()) {
            out += &format!("  unknown: {why}\n");
        }
        for component in side.map(|s| &s.components).into_iter().flatten() {
            out += &component_line(component, on);
        }
    }
    let free = estimate.lines.iter().filter(|l| l.free).count();
    if free > 0 {
        out += &counted(free, "resource costs nothing of its own\n", "resources cost nothing of their own\n");
    }
    out
}

fn component_line(component: &Component, on: Date) -> String {
    match (&component.quantity, &component.price, &component.monthly) {
        (Ok((amount, origin)), Ok(price), Some(monthly)) => format!(
            "  {}: {} {} × {} {} = {monthly}  ({}, {}, {} days old)\n",
            component.name,
            amount.round_dp(3).normalize(),
            component.unit,
            price.amount.normalize(),
            price.currency,
            origin.word(),
            price.source,
            price.age_days(on),
        ),
        _ => format!("  unknown: {}\n", component.unknown().unwrap_or_default()),
    }
}
