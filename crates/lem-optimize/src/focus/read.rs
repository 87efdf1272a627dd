//! A bill in FOCUS form: what it says by service, and the rates it really charged.
//!
//! Rows that break a rule are rejected with their row number and the rule; the totals say how many. Currencies are never
//! added together.

use super::columns::{by_name, missing, wrong};
use crate::price::layer::Layer;
use crate::price::{PriceKey, PriceRow, UNITS};
use lem_model::money::Money;
use lem_model::{Diagnostic, Place};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};

/// Rows that are read.
pub const MAX_ROWS: usize = 5_000_000;

/// One charge of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Cells by column, empty ones left out.
    pub cells: HashMap<String, String>,
}

impl Charge {
    /// A cell; empty text when there is none.
    pub fn cell(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    fn named(&self, column: &str) -> Option<String> {
        self.cells.get(column).cloned()
    }

    fn number(&self, column: &str) -> Option<Decimal> {
        let cell = self.cell(column);
        cell.parse().ok().or_else(|| Decimal::from_scientific(cell).ok())
    }

    /// What makes a charge the same charge when a bill is imported again.
    pub fn key(&self) -> String {
        let columns = [
            "BillingAccountId",
            "BillingPeriodStart",
            "ChargePeriodStart",
            "ChargePeriodEnd",
            "ChargeCategory",
            "ResourceId",
            "SkuPriceId",
            "SkuId",
            "SkuMeter",
            "ServiceName",
            "ChargeDescription",
            "RegionId",
        ];
        columns.map(|c| self.cell(c)).join("\u{1f}")
    }
}

/// A bill as far as it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Charges.
    pub charges: Vec<Charge>,
    /// Rejected rows: row number and rule.
    pub rejected: Vec<(u64, String)>,
}

impl Bill {
    /// Effective cost by a column, one sum per currency.
    pub fn by(&self, column: &str) -> BTreeMap<(String, String), Money> {
        let mut sums: BTreeMap<(String, String), Money> = BTreeMap::new();
        for charge in &self.charges {
            let Some(cost) = charge.number("EffectiveCost") else { continue };
            let currency = charge.cell("BillingCurrency").to_owned();
            let name = match charge.cell(column) {
                "" => "(none)".to_owned(),
                name => name.to_owned(),
            };
            let sum = sums.entry((name, currency.clone())).or_insert_with(|| Money { amount: Decimal::ZERO, currency });
            sum.amount += cost;
        }
        sums
    }

    /// Rates really charged, for the highest layer of the book: effective cost per unit of usage charges that say which of
    /// our prices they are, in `x_PriceProvider`, `x_PriceService` and `x_PriceSku`. Other bills name no key of ours, and a
    /// guessed one would be a wrong price.
    pub fn effective_rates(&self) -> Layer {
        let rate = |charge: &Charge| {
            let key = PriceKey {
                provider: charge.named("x_PriceProvider")?,
                service: charge.named("x_PriceService")?,
                sku: charge.named("x_PriceSku")?,
                region: charge.named("RegionId").unwrap_or_else(|| "*".into()),
                unit: charge.named("ConsumedUnit").filter(|u| UNITS.contains(&u.as_str()))?,
            };
            let (cost, quantity) = (charge.number("EffectiveCost")?, charge.number("ConsumedQuantity")?);
            let usable = charge.cell("ChargeCategory") == "Usage" && charge.cell("x_Estimated") != "true";
            let price = cost.checked_div(quantity).filter(|p| usable && *p > Decimal::ZERO)?;
            let valid_from = charge.cell("ChargePeriodStart").get(..10)?.parse().ok()?;
            let currency = charge.cell("BillingCurrency").to_owned();
            Some(PriceRow { key, price, currency, valid_from, source: "imported bill".into() })
        };
        Layer::of("effective rates of the bill", self.charges.iter().filter_map(rate))
    }

    /// The rejected rows as CSV: `row,rule`.
    pub fn rejected_csv(&self) -> String {
        let mut out = "row,rule\n".to_owned();
        for (row, rule) in &self.rejected {
            out += &format!("{row},\"{}\"\n", rule.replace('"', "\"\""));
        }
        out
    }

    /// Charges of this bill that are not in an earlier import: importing twice changes nothing.
    pub fn merge_into(self, into: &mut BTreeMap<String, Charge>) -> usize {
        let before = into.len();
        for charge in self.charges {
            into.insert(charge.key(), charge);
        }
        into.len() - before
    }
}

/// Reads a bill. A file that lacks a mandatory column is refused whole.
pub fn read(file: &str, input: impl std::io::Read) -> Result<Bill, Vec<Diagnostic>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(vec![Diagnostic::error("focus-csv", error.to_string(), Place::file(file))]),
    };
    let lacks = missing(&header);
    if !lacks.is_empty() {
        let say = |name: &&str| {
            Diagnostic::error("focus-column", format!("mandatory column {name} is missing"), Place::new(file, 1, 0))
        };
        return Err(lacks.iter().map(say).collect());
    }
    let mut bill = Bill::default();
    for record in reader.records().take(MAX_ROWS) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let row = error.position().map_or(0, csv::Position::line);
                bill.rejected.push((row, error.to_string()));
                continue;
            }
        };
        let row = record.position().map_or(0, csv::Position::line);
        let cells = header.iter().zip(record.iter());
        let broken = cells.clone().find_map(|(name, cell)| by_name(name).and_then(|c| wrong(c, cell)));
        match broken {
            Some(rule) => bill.rejected.push((row, rule)),
            None => {
                let filled = cells.filter(|(_, cell)| !cell.is_empty());
                let cells = filled.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect();
                bill.charges.push(Charge { cells });
            }
        }
    }
    Ok(bill)
}
