//! Prices: what a row says, what a question is, what the answer may be.
//!
//! Layers, lowest first: the embedded edition, `prices.d/*.csv` in lexical order, discounts of an environment, effective
//! rates from a bill. The highest layer that holds the key wins; within it the newest row that is valid on the day.
//! A price of 0 in a source is unknown: sources write it where they mean "not here".

pub mod book;
pub mod discount;
pub mod feed;
pub mod layer;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use std::fmt;

/// Units a price may be per.
pub const UNITS: [&str; 18] = [
    "hour",
    "day",
    "month",
    "gb",
    "gb-hour",
    "gb-month",
    "gib-hour",
    "gb-second",
    "vcpu-hour",
    "unit-hour",
    "unit-month",
    "lcu-hour",
    "iops-month",
    "mbps-month",
    "request",
    "server-month",
    "minute",
    "rate",
];

/// What a price is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PriceKey {
    /// aws, gcp, azure, kubernetes, onprem, fx.
    pub provider: String,
    /// ec2, ebs, rds ...
    pub service: String,
    /// What exactly: `linux/m5.large`, `gp3`.
    pub sku: String,
    /// Region; `global` for what costs the same everywhere, `*` in user layers for any.
    pub region: String,
    /// One of [`UNITS`].
    pub unit: String,
}

impl fmt::Display for PriceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} in {} per {}", self.provider, self.service, self.sku, self.region, self.unit)
    }
}

/// One row of a price list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PriceRow {
    /// What it is for.
    pub key: PriceKey,
    /// Amount per unit.
    pub price: Decimal,
    /// ISO 4217 code.
    pub currency: String,
    /// From this day on.
    pub valid_from: Date,
    /// Where it was read.
    pub source: String,
}

/// A question to the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceQuery {
    /// What for.
    pub key: PriceKey,
    /// Day of the charge.
    pub on: Date,
    /// Environment, for its discounts.
    pub environment: Option<String>,
}

/// A price with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Amount per unit after discounts.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
    /// Day of the row.
    pub valid_from: Date,
    /// Where it was read, and what was taken off.
    pub source: String,
    /// Layer that answered.
    pub layer: String,
}

impl Price {
    /// Days between the row and the day of the charge.
    pub fn age_days(&self, on: Date) -> i64 {
        on.since(self.valid_from).map_or(0, |span| i64::from(span.get_days()))
    }
}

/// Why a price is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No layer has a row.
    NoRow(Box<PriceKey>),
    /// The row says 0, by which its source means nothing.
    Zero(Box<PriceKey>, String),
    /// The source contradicts itself about this row.
    Doubtful(Box<PriceKey>, String),
    /// Priced in a currency for which there is no rate.
    NoRate {
        /// Currency of the price.
        from: String,
        /// Currency of the estimate.
        to: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRow(key) => write!(f, "no price for {key}"),
            Self::Zero(key, source) => write!(f, "{source} says 0 for {key}, which means unknown"),
            Self::Doubtful(key, source) => write!(f, "{source} contradicts itself about {key}"),
            Self::NoRate { from, to } => write!(f, "priced in {from} and there is no rate to {to}"),
        }
    }
}

/// Answer of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceAnswer {
    /// Known.
    Known(Price),
    /// Not known, and why. Never zero.
    Unknown(Reason),
}
