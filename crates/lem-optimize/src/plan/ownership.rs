//! Whose cost a resource is: service, environment and team. What nobody owns is a row of its own.

use super::allocate::{CodeOwners, Owner};
use super::estimate::{Estimate, Side};
use crate::Config;
use lem_model::money::Money;
use lem_model::resource::{Attribute, Resource, ResourceGraph};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// Name of the row without a service or environment.
pub const NONE: &str = "(none)";

/// Cost of one resource with whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attributed {
    /// Resource.
    pub address: String,
    /// Where it is written.
    pub place: String,
    /// Environment.
    pub environment: String,
    /// Service.
    pub service: String,
    /// Team.
    pub owner: Owner,
    /// Known cost a month; `None` when nothing of it is known.
    pub monthly: Option<Money>,
    /// Whether a part is unknown.
    pub partial: bool,
}

/// By what cost is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Service.
    Service,
    /// Environment.
    Environment,
    /// Team.
    Team,
}

/// One sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Name.
    pub name: String,
    /// Known cost a month.
    pub monthly: Money,
    /// Resources in it.
    pub resources: usize,
    /// Resources of which something is unknown.
    pub unknown: usize,
}

/// Everything that is billed, with whom it belongs to.
pub fn attribute(graph: &ResourceGraph, estimate: &Estimate, owners: &CodeOwners, config: &Config) -> Vec<Attributed> {
    let billed = estimate.lines.iter().filter(|l| !l.free && l.after.is_some());
    billed
        .filter_map(|line| {
            let resource = graph.resource(&line.address)?;
            let side = line.after.as_ref()?;
            Some(Attributed {
                address: line.address.clone(),
                place: line.place.clone(),
                environment: graph.environment.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string),
                service: label(resource, &config.service_label).unwrap_or(NONE).to_owned(),
                owner: owner(resource, owners, config),
                monthly: side.known(),
                partial: !Side::unknown(side).is_empty(),
            })
        })
        .collect()
}

/// Label, then CODEOWNERS of the file, then nobody.
pub fn owner(resource: &Resource, owners: &CodeOwners, config: &Config) -> Owner {
    if let Some(team) = label(resource, &config.team_label) {
        return Owner { name: team.to_owned(), by: "label" };
    }
    match owners.owner(&resource.place.file) {
        Some(owner) => Owner { name: owner.to_owned(), by: "CODEOWNERS" },
        None => Owner::nobody(),
    }
}

/// The value of a label or tag, however it is capitalised.
fn label<'a>(resource: &'a Resource, name: &str) -> Option<&'a str> {
    let places = ["tags", "tags_all", "labels", "user_labels", "metadata.labels", "Tags"];
    places.iter().filter_map(|place| resource.at(place)).find_map(|labels| match labels.revealed() {
        Attribute::Map(map) => {
            map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
        }
        // CloudFormation writes a list of Key and Value.
        Attribute::List(list) => list
            .iter()
            .find(|tag| tag.get("Key").and_then(Attribute::as_str).is_some_and(|k| k.eq_ignore_ascii_case(name)))
            .and_then(|tag| tag.get("Value")?.as_str()),
        _ => None,
    })
}

/// Sums by a dimension, the dearest first. Every resource is in exactly one row.
pub fn shares(all: &[Attributed], dimension: Dimension, currency: &str) -> Vec<Share> {
    let mut sums: BTreeMap<&str, Share> = BTreeMap::new();
    for one in all {
        let name = match dimension {
            Dimension::Service => &one.service,
            Dimension::Environment => &one.environment,
            Dimension::Team => &one.owner.name,
        };
        let share = sums.entry(name).or_insert_with(|| Share {
            name: name.clone(),
            monthly: Money { amount: Decimal::ZERO, currency: currency.to_owned() },
            resources: 0,
            unknown: 0,
        });
        share.resources += 1;
        share.unknown += usize::from(one.partial);
        share.monthly.amount += one.monthly.as_ref().map_or(Decimal::ZERO, |m| m.amount);
    }
    let mut shares: Vec<Share> = sums.into_values().collect();
    shares.sort_by(|a, b| b.monthly.amount.cmp(&a.monthly.amount).then_with(|| a.name.cmp(&b.name)));
    shares
}
