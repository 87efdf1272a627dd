//! Does what the plan says: reads price layers and usage, hears facts, appends estimates and recommendations.
//!
//! Everything it appends has an id made from what it answers, so that a restart at any moment repeats nothing.

pub mod download;
pub mod service;
pub mod tune;

pub use service::{OptimizeOptions, OptimizeService, SOURCE};
pub use tune::{Strategy, Tuning, tune};

use crate::Config;
use crate::infracost::usage::UsageFile;
use crate::plan::estimate::{Estimate, Pricing};
use crate::price::book::Book;
use crate::price::layer::Layer;
use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use lem_ledger::LedgerError;
use lem_model::port::{PlanCost, PriceSource, SourceError};
use lem_model::resource::ResourceGraph;
use lem_model::{Clock, Diagnostic};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// File of effective rates below the state's folder, made from an imported bill.
pub const EFFECTIVE_FILE: &str = "cost/effective.csv";

/// Why the stage cannot go on.
#[derive(Debug, Error)]
pub enum OptimizeError {
    /// The ledger failed.
    #[error("optimize cannot use the ledger")]
    Ledger(#[from] LedgerError),
}

/// Prices graphs with the layers and the usage file of a repository.
#[derive(Clone)]
pub struct Pricer {
    /// Top of the repository.
    pub root: PathBuf,
    /// Where state is kept.
    pub data: PathBuf,
    /// Configuration.
    pub config: Config,
    /// Clock.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Pricer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pricer").field("root", &self.root).field("config", &self.config).finish_non_exhaustive()
    }
}

/// A day in UTC.
pub fn day_of(time: Timestamp) -> Date {
    jiff::tz::TimeZone::UTC.to_datetime(time).date()
}

impl Pricer {
    /// The book with every layer that reads; what does not is in the diagnostics.
    pub fn book(&self) -> (Book, Vec<Diagnostic>) {
        let (layers, found) = Book::read_layers(&self.root.join(&self.config.prices));
        let effective = std::fs::read_to_string(self.data.join(EFFECTIVE_FILE)).ok();
        let effective = effective.and_then(|text| Layer::read("effective rates of the bill", &text).ok());
        (Book::embedded().with(layers).discounted(self.config.discounts.clone()).effective(effective), found)
    }

    /// The usage file, when there is one.
    pub fn usage(&self) -> (UsageFile, Vec<Diagnostic>) {
        match std::fs::read_to_string(self.root.join(&self.config.usage)) {
            Ok(text) => UsageFile::read(&self.config.usage, &text),
            Err(_) => (UsageFile::default(), vec![]),
        }
    }

    /// Today.
    pub fn today(&self) -> Date {
        day_of(self.clock.now())
    }

    /// Cost of a graph, and what is wrong in the files it was priced with.
    pub fn price(&self, graph: &ResourceGraph) -> (Estimate, Vec<Diagnostic>) {
        let (book, mut found) = self.book();
        let (usage, unread) = self.usage();
        found.extend(unread);
        found.extend(usage.check(graph));
        let pricing = Pricing { book: &book, usage: &usage, currency: &self.config.currency, on: self.today() };
        (Estimate::of(graph, &pricing), found)
    }
}

#[async_trait]
impl PriceSource for Pricer {
    async fn estimate(&self, graph: &ResourceGraph) -> Result<PlanCost, SourceError> {
        Ok(self.price(graph).0.plan_cost())
    }
}
