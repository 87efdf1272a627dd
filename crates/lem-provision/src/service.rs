//! The stage as a service: answers requests for a drift check.

use crate::ProvisionError;
use crate::events::DriftRequested;
use crate::execute::Environment;
use crate::project::Given;
use lem_ledger::{EventLog, Filter};
use lem_model::Fact;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks at the ledger.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Requests of one look.
const MAX_REQUESTS: u32 = 100;

/// Serves the environments of one repository.
#[derive(Clone)]
pub struct ProvisionService {
    environments: Vec<Environment>,
    log: Arc<dyn EventLog>,
    next: u64,
}

impl std::fmt::Debug for ProvisionService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvisionService").field("environments", &self.environments).finish_non_exhaustive()
    }
}

impl ProvisionService {
    /// Answers requests from an event on. Environments should record, else an answer is heard by nobody.
    pub fn new(environments: Vec<Environment>, log: Arc<dyn EventLog>, from: u64) -> Self {
        Self { environments, log, next: from }
    }

    /// One look: answers what was asked since the last; the answer says how many.
    pub async fn look(&mut self) -> Result<usize, ProvisionError> {
        let filter = Filter::types([DriftRequested::TYPE]);
        let page = self.log.read(self.next, &filter, MAX_REQUESTS).await?;
        let mut answered = 0;
        for event in &page {
            self.next = event.seq + 1;
            let Some(Ok(request)) = event.fact::<DriftRequested>() else { continue };
            let asked = self.environments.iter().filter(|e| e.target().environment.name == request.environment);
            for environment in asked {
                match environment.drift(&Given::of_process(vec![])).await {
                    Ok(_) => answered += 1,
                    Err(error) => tracing::warn!(environment = %request.environment, %error, "drift was not checked"),
                }
            }
        }
        Ok(answered)
    }

    /// Looks until it is told to stop.
    pub async fn serve(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "requests were not read");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
