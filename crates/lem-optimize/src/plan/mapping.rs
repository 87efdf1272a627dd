//! The mapping table: what a resource type is billed for, as data.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

static TABLE: &str = include_str!("../../data/mapping.toml");

/// One thing a resource is billed for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentRow {
    /// What people read; may hold `{path}`.
    pub name: String,
    /// Service of the price.
    pub service: String,
    /// SKU; may hold `{path}`.
    pub sku: String,
    /// Unit of the price.
    pub unit: String,
    /// Region of the price, when it is not the resource's own.
    #[serde(default)]
    pub region: Option<String>,
    /// Product of factors.
    pub quantity: String,
    /// A list of the resource; the component stands once for each item.
    #[serde(default)]
    pub each: Option<String>,
    /// `path=value` or `path!=value`, with `|when absent`; without it the component always stands.
    #[serde(default)]
    pub when: Option<String>,
}

/// What a type is billed for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeRow {
    /// Other types billed the same way.
    #[serde(default)]
    also: Vec<String>,
    /// Translations of values, by path.
    #[serde(default)]
    pub words: BTreeMap<String, BTreeMap<String, String>>,
    /// Components.
    pub components: Vec<ComponentRow>,
}

#[derive(Deserialize)]
struct Table {
    free: Vec<String>,
    #[serde(flatten)]
    types: BTreeMap<String, TypeRow>,
}

/// How a type is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing<'a> {
    /// By these components.
    Components(&'a TypeRow),
    /// It costs nothing of its own.
    Free,
    /// Nobody wrote a row for it.
    Unsupported,
}

/// The whole table.
#[derive(Debug)]
pub struct Mapping {
    types: BTreeMap<String, TypeRow>,
    free: Vec<String>,
}

impl Mapping {
    /// The embedded table, read once.
    pub fn get() -> &'static Self {
        static MAPPING: OnceLock<Mapping> = OnceLock::new();
        MAPPING.get_or_init(|| {
            let table: Table = toml::from_str(TABLE).expect("a test reads the embedded table");
            let mut types = BTreeMap::new();
            for (kind, row) in table.types {
                for other in &row.also {
                    types.insert(other.clone(), row.clone());
                }
                types.insert(kind, row);
            }
            Self { types, free: table.free }
        })
    }

    /// How a type is billed.
    pub fn billing(&self, kind: &str) -> Billing<'_> {
        let free = |pattern: &String| pattern.strip_suffix('*').map_or(pattern == kind, |stem| kind.starts_with(stem));
        match self.types.get(kind) {
            Some(row) => Billing::Components(row),
            None if self.free.iter().any(free) => Billing::Free,
            None => Billing::Unsupported,
        }
    }

    /// Types with components, in order.
    pub fn types(&self) -> impl Iterator<Item = (&str, &TypeRow)> {
        self.types.iter().map(|(kind, row)| (kind.as_str(), row))
    }

    /// Usage keys a type has.
    pub fn usage_keys(&self, kind: &str) -> Vec<String> {
        let Some(row) = self.types.get(kind) else { return vec![] };
        let mut keys: Vec<String> = row.components.iter().flat_map(|c| usage_keys(&c.quantity)).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

/// `{usage.key}` of a quantity.
pub(crate) fn usage_keys(quantity: &str) -> Vec<String> {
    let parts = quantity.split("{usage.").skip(1);
    parts.filter_map(|rest| rest.split_once('}').map(|(key, _)| key.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::UNITS;

    #[test]
    fn the_table_reads_and_every_row_is_priceable_in_principle() {
        let mapping = Mapping::get();
        assert!(mapping.types().count() >= 60, "{} types", mapping.types().count());
        for (kind, row) in mapping.types() {
            assert!(!row.components.is_empty(), "{kind}");
            for component in &row.components {
                assert!(UNITS.contains(&component.unit.as_str()), "{kind}: {}", component.unit);
                let balanced = |text: &str| text.matches('{').count() == text.matches('}').count();
                assert!(
                    balanced(&component.sku) && balanced(&component.quantity) && balanced(&component.name),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn a_type_is_billed_free_or_unsupported() {
        let mapping = Mapping::get();
        assert!(matches!(mapping.billing("aws_alb"), Billing::Components(_)));
        assert_eq!(mapping.billing("aws_iam_role"), Billing::Free);
        assert_eq!(mapping.billing("aws_quantum_thing"), Billing::Unsupported);
        assert_eq!(mapping.usage_keys("aws_lambda_function"), ["monthly_requests", "request_duration_ms"]);
    }
}
