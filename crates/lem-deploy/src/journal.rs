//! The ledger as this stage uses it: append one event, read on from a position.

use crate::DeployError;
use async_trait::async_trait;
use lem_ledger::{EventLog, Filter};
use lem_model::{Event, NewEvent, Seq};
use std::sync::Arc;

/// Events read at once.
pub const READ_MAX: u32 = 1000;

/// Where facts go and come from.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends one event, durably.
    async fn append(&self, event: NewEvent) -> Result<(), DeployError>;
    /// Events from a position on, at most [`READ_MAX`].
    async fn read(&self, from: Seq) -> Result<Vec<Event>, DeployError>;
}

/// The ledger.
pub struct LedgerJournal(pub Arc<dyn EventLog>);

impl std::fmt::Debug for LedgerJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerJournal")
    }
}

#[async_trait]
impl Journal for LedgerJournal {
    async fn append(&self, event: NewEvent) -> Result<(), DeployError> {
        self.0.append(vec![event]).await?;
        Ok(())
    }

    async fn read(&self, from: Seq) -> Result<Vec<Event>, DeployError> {
        Ok(self.0.read(from, &Filter::all(), READ_MAX).await?)
    }
}
