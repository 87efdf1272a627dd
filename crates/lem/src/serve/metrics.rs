//! The metric store, as the server asks it.

use async_trait::async_trait;
use lem_engine_promql::{Labels, Matcher, Querier};
use lem_observe::engine::embedded::StoreQuerier;
use lem_observe::engine::{self, Catalog, MetricStore};
use lem_server::port::{Ask, Metrics, PartError};
use std::sync::Arc;

/// A metric store.
pub(super) struct Stored {
    store: Arc<dyn MetricStore>,
    querier: StoreQuerier,
}

impl Stored {
    pub(super) fn new(store: Arc<dyn MetricStore>) -> Self {
        Self { querier: StoreQuerier(store.clone()), store }
    }

    async fn catalog(
        &self,
        ask: engine::Ask,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Catalog, PartError> {
        let catalog = self.store.catalog(ask, matchers.to_vec(), start_ms, end_ms).await;
        let catalog = catalog.map_err(|error| PartError::Failed(error.to_string()))?;
        for warning in &catalog.warnings {
            tracing::warn!(%warning, "the metric store could not read everything");
        }
        Ok(catalog)
    }
}

#[async_trait]
impl Metrics for Stored {
    fn querier(&self) -> &dyn Querier {
        &self.querier
    }

    async fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, PartError> {
        Ok(self.catalog(engine::Ask::Series, matchers, start_ms, end_ms).await?.series)
    }

    async fn list(
        &self,
        ask: &Ask,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, PartError> {
        let ask = match ask {
            Ask::Names => engine::Ask::Names,
            Ask::Values(name) => engine::Ask::Values(name.clone()),
        };
        Ok(self.catalog(ask, matchers, start_ms, end_ms).await?.texts)
    }
}
