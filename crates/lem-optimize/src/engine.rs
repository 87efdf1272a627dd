//! Where prices come from, and plans that were made elsewhere. The embedded book is the default; a cloud's price list comes in as a layer of it.

pub mod embedded;
pub mod plan_json;

use crate::price::{PriceAnswer, PriceQuery};
use jiff::civil::Date;
use serde::Serialize;
use std::fmt;

/// One layer of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerInfo {
    /// Name.
    pub name: String,
    /// Newest date in it.
    pub date: Date,
    /// Rows.
    pub rows: usize,
}

/// Sources, dates and row counts of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BookEdition {
    /// Lowest first.
    pub layers: Vec<LayerInfo>,
}

impl fmt::Display for BookEdition {
    /// `libcloud-3.9.1 of 2025-03-02 + curated of 2025-01-01`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.layers.iter().map(|l| format!("{} of {}", l.name, l.date)).collect();
        f.write_str(&layers.join(" + "))
    }
}

/// A book of prices; asking it does no IO.
pub trait PriceBook: Send + Sync {
    /// What it is made of.
    fn edition(&self) -> BookEdition;
    /// The price of one thing, or why it is not known.
    fn find(&self, query: &PriceQuery) -> PriceAnswer;
}
