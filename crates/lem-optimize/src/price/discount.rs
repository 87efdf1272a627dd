//! Discounts of an environment: a percentage multiplies what lies below, a committed rate replaces it.

use super::{Price, PriceKey};
use lem_engine_yaml::{Fields, Node, Reader};
use rust_decimal::Decimal;

/// What is taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Off {
    /// Percent of the price.
    Percent(Decimal),
    /// This rate instead, in the currency of the price.
    Rate(Decimal),
}

/// One discount. What it does not name, it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    /// Environment.
    pub environment: Option<String>,
    /// Provider.
    pub provider: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// SKU.
    pub sku: Option<String>,
    /// How much.
    pub off: Off,
}

impl Discount {
    /// Reads one item of `optimize.discounts`.
    pub fn read(reader: &Reader, node: &Node) -> Option<Self> {
        let mut fields = reader.fields(node, "a discount")?;
        let word = |fields: &mut Fields<'_>, key: &str| fields.take(key).and_then(|n| reader.string(n, key));
        let environment = word(&mut fields, "environment");
        let provider = word(&mut fields, "provider");
        let service = word(&mut fields, "service");
        let sku = word(&mut fields, "sku");
        let off = match (fields.take("percent"), fields.take("rate")) {
            (Some(percent), None) => decimal(reader, percent, "percent").map(Off::Percent),
            (None, Some(rate)) => decimal(reader, rate, "rate").map(Off::Rate),
            _ => {
                reader.error(node, "missing-key", "a discount needs either \"percent\" or \"rate\"");
                None
            }
        };
        fields.finish();
        let off = off?;
        if matches!(&off, Off::Percent(p) if *p < Decimal::ZERO || *p > Decimal::ONE_HUNDRED) {
            reader.error(node, "wrong-value", "percent must be between 0 and 100");
            return None;
        }
        if matches!(off, Off::Rate(_)) && sku.is_none() {
            reader.error(node, "missing-key", "a committed rate needs the \"sku\" it is for");
            return None;
        }
        Some(Self { environment, provider, service, sku, off })
    }

    fn covers(&self, key: &PriceKey, environment: Option<&str>) -> bool {
        let matches = |wanted: &Option<String>, have: &str| wanted.as_deref().is_none_or(|w| w == have);
        self.environment.as_deref().is_none_or(|wanted| environment == Some(wanted))
            && matches(&self.provider, &key.provider)
            && matches(&self.service, &key.service)
            && matches(&self.sku, &key.sku)
    }
}

/// A decimal written in the configuration.
pub(crate) fn decimal(reader: &Reader, node: &Node, what: &str) -> Option<Decimal> {
    let parsed = node.text().and_then(|t| t.trim().parse().ok());
    if parsed.is_none() {
        reader.error(node, "wrong-type", format!("{what} must be a decimal such as 12.5"));
    }
    parsed
}

/// The price after every discount that covers it, in their order.
pub fn apply(mut price: Price, key: &PriceKey, environment: Option<&str>, discounts: &[Discount]) -> Price {
    for discount in discounts.iter().filter(|d| d.covers(key, environment)) {
        let what = match &discount.off {
            Off::Percent(percent) => {
                price.amount *= (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED;
                format!("less {percent} %")
            }
            Off::Rate(rate) => {
                price.amount = *rate;
                "at the committed rate".to_owned()
            }
        };
        price.source = format!("{}, {what}", price.source);
        price.layer = "discount".to_owned();
    }
    price
}
