//! Patterns: every line belongs to a template, mined in one pass as it arrives.

mod mask;
mod mine;
mod registry;

use serde::{Deserialize, Serialize};

pub(crate) use mine::Miner;
pub(crate) use registry::Seen;
pub use registry::{FirstSeen, PatternInfo};

/// A template's number; it keeps it for good, also when the template generalises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PatternId(pub u32);

impl PatternId {
    /// Lines that found the registry full.
    pub const OTHER: Self = Self(0);
}

/// A miner from a saved registry.
pub(crate) fn load(bytes: &[u8]) -> Result<Miner, String> {
    registry::Registry::load(bytes).map(Miner::resume)
}
