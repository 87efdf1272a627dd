//! What a graph costs a month, before and after its plan: quantity × price for every component, or why it is unknown.

use super::mapping::{Billing, ComponentRow, Mapping, TypeRow};
use super::quantity::{Context, Lack, Origin};
use crate::engine::PriceBook;
use crate::infracost::usage::UsageFile;
use crate::price::book::Book;
use crate::price::{Price, PriceAnswer, PriceKey, PriceQuery};
use indexmap::IndexMap;
use jiff::civil::Date;
use lem_model::fact::{ResourceCost, UnknownCost};
use lem_model::money::{MONTH_HOURS, Money};
use lem_model::port::PlanCost;
use lem_model::resource::{Attribute, Resource, ResourceAction, ResourceGraph};
use rust_decimal::Decimal;

/// What the estimate needs beside the graph.
#[derive(Debug)]
pub struct Pricing<'a> {
    /// Prices.
    pub book: &'a Book,
    /// Declared and measured usage.
    pub usage: &'a UsageFile,
    /// Currency of every total.
    pub currency: &'a str,
    /// Day of the charge.
    pub on: Date,
}

/// Monthly cost of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// What people read.
    pub name: String,
    /// Unit of the price.
    pub unit: String,
    /// How much a month, and where the number comes from.
    pub quantity: Result<(Decimal, Origin), String>,
    /// Price of one unit.
    pub price: Result<Price, String>,
    /// Quantity × price, when both are known.
    pub monthly: Option<Money>,
}

impl Component {
    /// Why it has no cost.
    pub fn unknown(&self) -> Option<String> {
        match (&self.quantity, &self.price) {
            _ if self.monthly.is_some() => None,
            (Err(why), _) | (Ok(_), Err(why)) => Some(format!("{}: {why}", self.name)),
            (Ok(_), Ok(_)) => Some(format!("{}: the cost could not be worked out", self.name)),
        }
    }

    /// Whether only a usage nobody declared is missing.
    pub fn depends_on_usage(&self) -> bool {
        self.quantity.as_ref().is_err_and(|why| why.starts_with(super::quantity::NO_USAGE))
    }
}

/// Cost of one side of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Components.
    pub components: Vec<Component>,
    /// Why there are none, when its type has no row.
    pub unsupported: Option<String>,
}

impl Side {
    /// The known part; `None` when nothing is known.
    pub fn known(&self) -> Option<Money> {
        let mut known = self.components.iter().filter_map(|c| c.monthly.clone());
        let first = known.next();
        first.map(|first| known.fold(first, |sum, next| sum.plus(&next).unwrap_or(sum)))
    }

    /// What is not known.
    pub fn unknown(&self) -> Vec<String> {
        self.unsupported.iter().cloned().chain(self.components.iter().filter_map(Component::unknown)).collect()
    }

    /// Whether nothing is known although something is billed.
    pub fn wholly_unknown(&self) -> bool {
        self.known().is_none() && !self.unknown().is_empty()
    }
}

/// Cost of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Address.
    pub address: String,
    /// Type.
    pub kind: String,
    /// Where it is written.
    pub place: String,
    /// What the plan does.
    pub action: Option<ResourceAction>,
    /// Whether its type costs nothing of its own.
    pub free: bool,
    /// Before; `None` when it did not exist.
    pub before: Option<Side>,
    /// After; `None` when it will not exist.
    pub after: Option<Side>,
}

impl Line {
    /// Change of the known cost; `None` when a side that exists is wholly unknown.
    pub fn delta(&self, currency: &str) -> Option<Money> {
        let amount = |side: &Option<Side>| match side {
            None => Some(Decimal::ZERO),
            Some(side) if side.wholly_unknown() => None,
            Some(side) => Some(side.known().map_or(Decimal::ZERO, |m| m.amount)),
        };
        let amount = amount(&self.after)? - amount(&self.before)?;
        Some(Money { amount, currency: currency.to_owned() })
    }

    /// What is not known of either side, without repetition.
    pub fn unknown(&self) -> Vec<String> {
        let mut all: Vec<String> = self.after.iter().chain(&self.before).flat_map(Side::unknown).collect();
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|why| seen.insert(why.clone()));
        all
    }

    /// Whether a side that exists is wholly unknown.
    pub fn unpriced(&self) -> bool {
        self.after.iter().chain(&self.before).any(Side::wholly_unknown)
    }
}

/// Cost of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Resources that are billed or might be, in order of address.
    pub lines: Vec<Line>,
    /// Currency of every amount.
    pub currency: String,
    /// Edition of the book.
    pub prices: String,
}

impl Estimate {
    /// Works the cost of a graph out.
    pub fn of(graph: &ResourceGraph, pricing: &Pricing<'_>) -> Self {
        let environment = graph.environment.as_ref().map(|e| e.as_str());
        let managed = graph.resources.iter().filter(|r| !r.data && r.action != Some(ResourceAction::Read));
        let lines = managed.map(|resource| line(resource, environment, pricing)).collect();
        Self { lines, currency: pricing.currency.to_owned(), prices: pricing.book.edition().to_string() }
    }

    fn sum(&self, side: impl Fn(&Line) -> Option<&Side>) -> Money {
        let amounts = self.lines.iter().filter_map(|l| side(l).and_then(Side::known)).map(|m| m.amount);
        Money { amount: amounts.sum(), currency: self.currency.clone() }
    }

    /// Everything known after.
    pub fn known_after(&self) -> Money {
        self.sum(|l| l.after.as_ref())
    }

    /// Everything known before.
    pub fn known_before(&self) -> Money {
        self.sum(|l| l.before.as_ref())
    }

    /// Change of the known cost: resources with an unknown side are left out of both sides.
    pub fn delta(&self) -> Money {
        let amount = self.lines.iter().filter_map(|l| l.delta(&self.currency)).map(|m| m.amount).sum();
        Money { amount, currency: self.currency.clone() }
    }

    /// What is not known, one entry per reason.
    pub fn unknown(&self) -> Vec<UnknownCost> {
        let entries = |l: &Line| {
            let address = l.address.clone();
            l.unknown().into_iter().map(move |reason| UnknownCost { address: address.clone(), reason })
        };
        self.lines.iter().flat_map(entries).collect()
    }

    /// Resources a side of which is wholly unknown.
    pub fn unpriced(&self) -> Vec<&Line> {
        self.lines.iter().filter(|l| l.unpriced()).collect()
    }

    /// Resources of which a part is unknown.
    pub fn partial(&self) -> Vec<&Line> {
        self.lines.iter().filter(|l| !l.unpriced() && !l.unknown().is_empty()).collect()
    }

    /// The answer for whoever plans. Both totals leave out resources with an unknown side, so that their difference is the
    /// known change and nothing else.
    pub fn plan_cost(&self) -> PlanCost {
        let comparable = self.lines.iter().filter(|l| !l.unpriced());
        let total = |side: fn(&Line) -> &Option<Side>| Money {
            amount: comparable.clone().filter_map(|l| side(l).as_ref().and_then(Side::known)).map(|m| m.amount).sum(),
            currency: self.currency.clone(),
        };
        let costs = self.lines.iter().filter(|l| !l.free).map(|l| ResourceCost {
            address: l.address.clone(),
            before: l.before.as_ref().and_then(Side::known),
            after: l.after.as_ref().and_then(Side::known),
        });
        PlanCost {
            before: total(|l| &l.before),
            after: total(|l| &l.after),
            resources: costs.collect(),
            unknown: self.unknown(),
            prices: self.prices.clone(),
        }
    }
}

fn line(resource: &Resource, environment: Option<&str>, pricing: &Pricing<'_>) -> Line {
    let side = |attributes: &IndexMap<String, Attribute>| side(resource, attributes, environment, pricing);
    let now = || Some(side(&resource.attributes));
    let past = || Some(side(resource.before.as_ref().unwrap_or(&resource.attributes)));
    let (before, after) = match resource.action {
        None | Some(ResourceAction::Create | ResourceAction::Read) => (None, now()),
        Some(ResourceAction::NoOp) => (now(), now()),
        Some(ResourceAction::Update | ResourceAction::DeleteCreate | ResourceAction::CreateDelete) => (past(), now()),
        Some(ResourceAction::Delete) => (past(), None),
        // Forgotten is still there and still billed.
        Some(ResourceAction::Forget) => (past(), past()),
    };
    Line {
        address: resource.address.clone(),
        kind: resource.kind.clone(),
        place: resource.place.to_string(),
        action: resource.action,
        free: Mapping::get().billing(&resource.kind) == Billing::Free,
        before,
        after,
    }
}

fn side(
    resource: &Resource,
    attributes: &IndexMap<String, Attribute>,
    environment: Option<&str>,
    pricing: &Pricing<'_>,
) -> Side {
    let row = match Mapping::get().billing(&resource.kind) {
        Billing::Components(row) => row,
        Billing::Free => return Side::default(),
        Billing::Unsupported => {
            let why = format!("nothing is known about the billing of {}", resource.kind);
            return Side { components: vec![], unsupported: Some(why) };
        }
    };
    let root = Attribute::Map(attributes.clone());
    let components = row.components.iter().flat_map(|component| {
        let items: Vec<Attribute> = match &component.each {
            None => vec![root.clone()],
            Some(path) => super::quantity::items(&root, path),
        };
        items
            .into_iter()
            .filter_map(|item| {
                let context = Context { root: &root, item: &item, row, usage: pricing.usage, resource };
                one(component, row, &context, environment, pricing)
            })
            .collect::<Vec<_>>()
    });
    Side { components: components.collect(), unsupported: None }
}

fn one(
    row: &ComponentRow,
    _kind: &TypeRow,
    context: &Context<'_>,
    environment: Option<&str>,
    pricing: &Pricing<'_>,
) -> Option<Component> {
    if let Some(when) = &row.when {
        match context.holds(when) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(lack) => return Some(blank(row, context, lack)),
        }
    }
    let quantity = context.quantity(&row.quantity).map_err(|lack| lack.to_string());
    // Nothing of it is known to be nothing, whatever it costs.
    if quantity.as_ref().is_ok_and(|(amount, origin)| amount.is_zero() && *origin == Origin::Attribute) {
        return None;
    }
    let price = price(row, context, environment, pricing);
    let mut price = price;
    let mut monthly = None;
    if let (Ok((amount, _)), Ok(found)) = (&quantity, &price) {
        let cost = Money { amount: amount * found.amount, currency: found.currency.clone() };
        match pricing.book.convert(cost, pricing.currency, pricing.on) {
            Ok(cost) => monthly = Some(cost),
            Err(reason) => price = Err(reason.to_string()),
        }
    }
    Some(Component { name: context.shown(&row.name), unit: row.unit.clone(), quantity, price, monthly })
}

fn blank(row: &ComponentRow, context: &Context<'_>, lack: Lack) -> Component {
    let why = lack.to_string();
    Component {
        name: context.shown(&row.name),
        unit: row.unit.clone(),
        quantity: Err(why.clone()),
        price: Err(why),
        monthly: None,
    }
}

fn price(
    row: &ComponentRow,
    context: &Context<'_>,
    environment: Option<&str>,
    pricing: &Pricing<'_>,
) -> Result<Price, String> {
    let region = match &row.region {
        Some(region) => region.clone(),
        None => context.region().map_err(|lack| lack.to_string())?,
    };
    let key = PriceKey {
        provider: context.provider().to_owned(),
        service: row.service.clone(),
        sku: context.text(&row.sku).map_err(|lack| lack.to_string())?,
        region,
        unit: row.unit.clone(),
    };
    let query = PriceQuery { key, on: pricing.on, environment: environment.map(str::to_owned) };
    match pricing.book.find(&query) {
        PriceAnswer::Known(price) => Ok(price),
        PriceAnswer::Unknown(reason) => Err(reason.to_string()),
    }
}

/// Hours of a month as a decimal.
pub fn month_hours() -> Decimal {
    Decimal::from(MONTH_HOURS)
}
