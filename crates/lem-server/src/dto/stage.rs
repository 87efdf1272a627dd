//! The stages around the delivery path: provision, secure, optimize, and the reports of the teams.
//!
//! Unknown stays unknown: an absent value has its reason beside it and is never zero. No field ever holds a secret's value.

mod optimize;
mod provision;
mod report;
mod secure;
mod word;

pub use optimize::*;
pub use provision::*;
pub use report::*;
pub use secure::*;
pub use word::*;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An exact amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// Decimal text.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
}

impl From<&lem_model::money::Money> for Money {
    fn from(money: &lem_model::money::Money) -> Self {
        Self { amount: money.amount.round_dp(2).to_string(), currency: money.currency.clone() }
    }
}

/// A place in the user's own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilePlace {
    /// File.
    pub file: String,
    /// Line, from 1; 0 is the whole file.
    pub line: u32,
}

impl From<&lem_model::Place> for FilePlace {
    fn from(place: &lem_model::Place) -> Self {
        Self { file: place.file.clone(), line: place.line }
    }
}

/// A resource whose cost nobody knows, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unpriced {
    /// Resource.
    pub address: String,
    /// Why.
    pub reason: String,
}
