//! The `optimize:` section of `lem.yaml`.

use crate::plan::budget::Budget;
use crate::price::discount::Discount;
use lem_engine_yaml::{Node, Reader};

/// Budgets and discounts that are read.
pub const MAX_ITEMS: usize = 1_000;

/// Configuration of the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Currency of every total.
    pub currency: String,
    /// Usage file, relative to the repository.
    pub usage: String,
    /// Folder of price layers, relative to the repository.
    pub prices: String,
    /// Budgets.
    pub budgets: Vec<Budget>,
    /// Discounts.
    pub discounts: Vec<Discount>,
    /// Label or tag whose value names the team.
    pub team_label: String,
    /// Label or tag whose value names the service.
    pub service_label: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            currency: "USD".into(),
            usage: "infracost-usage.yml".into(),
            prices: "prices.d".into(),
            budgets: vec![],
            discounts: vec![],
            team_label: "team".into(),
            service_label: "service".into(),
        }
    }
}

impl Config {
    /// Reads the section; what is wrong is reported to the reader.
    pub fn read(reader: &Reader, node: &Node) -> Self {
        let mut config = Self::default();
        let Some(mut fields) = reader.fields(node, "optimize") else { return config };
        for (key, into) in [
            ("currency", &mut config.currency),
            ("usage", &mut config.usage),
            ("prices", &mut config.prices),
            ("teamLabel", &mut config.team_label),
            ("serviceLabel", &mut config.service_label),
        ] {
            if let Some(text) = fields.take(key).and_then(|n| reader.string(n, key)) {
                *into = text;
            }
        }
        if let Some(node) = fields.take("budgets") {
            config.budgets = items(reader, node, "budgets").filter_map(|n| Budget::read(reader, n)).collect();
        }
        if let Some(node) = fields.take("discounts") {
            config.discounts = items(reader, node, "discounts").filter_map(|n| Discount::read(reader, n)).collect();
        }
        fields.finish();
        config
    }
}

fn items<'a>(reader: &Reader, node: &'a Node, what: &str) -> impl Iterator<Item = &'a Node> {
    let items = reader.items(node, what).unwrap_or_default();
    if items.len() > MAX_ITEMS {
        reader.error(node, "too-many", format!("at most {MAX_ITEMS} {what} are read"));
    }
    items.iter().take(MAX_ITEMS)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use lem_engine_yaml::{Options, parse_one};

    fn read(text: &str) -> (Config, Vec<String>) {
        let node = parse_one(text, "lem.yaml", Options::default()).0.unwrap();
        let reader = Reader::new("lem.yaml");
        let config = Config::read(&reader, &node);
        (config, reader.into_diagnostics().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_section_reads_and_complains_with_places() {
        let text = "currency: EUR\nbudgets:\n  - {name: prod, environment: production, monthly: 500 USD}\n\
                    discounts:\n  - {provider: aws, percent: 12.5}\n";
        let (config, found) = read(text);
        assert_eq!((config.budgets.len(), config.discounts.len(), found.len()), (1, 1, 0), "{found:?}");
        assert_eq!(config.budgets[0].place.to_string(), "lem.yaml:3:5");
        let (_, found) = read("budgets: 5\ndiscounts:\n  - {percent: 120}\n  - {rate: 1}\nbudget: []\n");
        let expect = [
            "budgets must be a list",
            "percent must be between 0 and 100",
            "needs the \"sku\"",
            "unknown key \"budget\"",
        ];
        for (said, expect) in found.iter().zip(expect) {
            assert!(said.contains(expect), "{said}");
        }
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn more_than_the_limit_is_said() {
        let many = "  - {name: b, monthly: 1}\n".repeat(MAX_ITEMS + 1);
        let (config, found) = read(&format!("budgets:\n{many}"));
        assert_eq!(config.budgets.len(), MAX_ITEMS);
        assert!(found[0].contains("at most 1000 budgets are read"), "{found:?}");
    }
}
