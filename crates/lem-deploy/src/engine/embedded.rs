//! The embedded router: one listener per environment, one app per service.

use super::{Router, Table};
use crate::DeployError;
use crate::evidence::{Tallies, Tally};
use crate::model::{HeaderMatch, ValueMatch};
use crate::plan::{Routed, Rule};
use async_trait::async_trait;
use lem_engine_router::{
    BUCKETS_MICROS, Condition, MatchRule, Pattern, RoutePlan, Router as Listener, RouterHandle, RouterOptions,
    VersionCounts, VersionRoute,
};
use lem_model::Version;
use lem_model::port::{Exposition, Scope};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Time the listeners get to end when the stage stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// All listeners.
#[derive(Debug, Default)]
pub struct EmbeddedRouter {
    listeners: BTreeMap<Scope, RouterHandle>,
    served: Mutex<BTreeMap<Scope, Routed>>,
}

impl EmbeddedRouter {
    /// Listens for each service and environment; must run inside the runtime that serves.
    pub fn start(places: &[(Scope, SocketAddr)]) -> Result<Arc<Self>, DeployError> {
        let mut listeners = BTreeMap::new();
        for (scope, listen) in places {
            let handle = Listener::start(RouterOptions::new(*listen))
                .map_err(|source| DeployError::Router { listen: *listen, source })?;
            listeners.insert(scope.clone(), handle);
        }
        Ok(Arc::new(Self { listeners, served: Mutex::default() }))
    }

    /// Where a service is served; the port that was taken when 0 was asked for.
    pub fn address(&self, scope: &Scope) -> Option<SocketAddr> {
        self.listeners.get(scope).map(RouterHandle::addr)
    }

    /// Stops listening and lets requests end.
    pub async fn stop(self: Arc<Self>) {
        if let Some(own) = Arc::into_inner(self) {
            let all = own.listeners.into_values().map(|handle| handle.stop(STOP_GRACE));
            futures::future::join_all(all).await;
        }
    }

    fn listener(&self, scope: &Scope) -> Result<&RouterHandle, DeployError> {
        self.listeners.get(scope).ok_or_else(|| table_error(scope, "it has no listener"))
    }
}

fn table_error(scope: &Scope, why: impl ToString) -> DeployError {
    DeployError::Table { service: scope.service.clone(), why: why.to_string() }
}

#[async_trait]
impl Router for EmbeddedRouter {
    async fn apply(&self, scope: &Scope, release: &str, table: &Table) -> Result<Routed, DeployError> {
        let versions = table.versions.iter().map(|(v, at, weight)| VersionRoute::new(v.as_str(), at.clone(), *weight));
        let mut plan = RoutePlan::new(release, versions.collect());
        plan.rules = table.rules.iter().map(rule).collect();
        let generation =
            self.listener(scope)?.apply(scope.service.as_str(), plan).map_err(|error| table_error(scope, error))?;
        let routed = Routed { versions: table.versions.clone(), rules: table.rules.clone(), generation: generation.0 };
        self.served.lock().insert(scope.clone(), routed.clone());
        Ok(routed)
    }

    fn served(&self, scope: &Scope) -> Option<Routed> {
        self.served.lock().get(scope).cloned()
    }

    fn counts(&self, scope: &Scope, slower_than: Option<Duration>) -> Tallies {
        let Some(listener) = self.listeners.get(scope) else { return Tallies::new() };
        // No app yet is no count yet.
        let counts = listener.counts(scope.service.as_str()).unwrap_or_default();
        counts.iter().map(|c| (Version::from(c.version.as_str()), tally(c, slower_than))).collect()
    }

    async fn drain(&self, scope: &Scope, version: &Version, grace: Duration) -> Result<u64, DeployError> {
        let drained = self.listener(scope)?.drain(scope.service.as_str(), version.as_str(), grace).await;
        match drained {
            Ok(drained) => Ok(drained.abandoned),
            // A version that never was in a table has nothing under way.
            Err(_) => Ok(0),
        }
    }
}

fn tally(counts: &VersionCounts, slower_than: Option<Duration>) -> Tally {
    let slow = slower_than.map_or(0, |limit| {
        // Buckets whose lower bound is at or above the limit are slow for certain.
        let first = BUCKETS_MICROS.partition_point(|bound| u128::from(*bound) < limit.as_micros()) + 1;
        counts.duration_buckets.iter().skip(first).sum()
    });
    Tally { requests: counts.requests, bad: counts.bad, slow }
}

fn rule(rule: &Rule) -> MatchRule {
    let when = rule.matches.iter().map(|HeaderMatch { header, value }| Condition::Header {
        name: header.clone(),
        value: match value {
            ValueMatch::Exact(text) => Pattern::Exact(text.clone()),
            ValueMatch::Prefix(text) => Pattern::Prefix(text.clone()),
        },
    });
    MatchRule { version: rule.version.to_string(), when: when.collect() }
}

/// The routers' metrics. Each listener's samples get `service` and `environment` beside their own `app`.
#[derive(Debug)]
pub struct RouterMetrics(pub Arc<EmbeddedRouter>);

impl Exposition for RouterMetrics {
    fn job(&self) -> &'static str {
        "lem-router"
    }

    fn text(&self) -> String {
        let mut families: indexmap::IndexMap<String, (Vec<String>, Vec<String>)> = indexmap::IndexMap::new();
        for (scope, listener) in &self.0.listeners {
            let place = format!("service=\"{}\",environment=\"{}\"", scope.service, scope.environment);
            let mut family = String::new();
            for line in listener.exposition().lines() {
                if let Some(rest) = line.strip_prefix("# ") {
                    family = rest.split(' ').nth(1).unwrap_or_default().to_owned();
                    let heads = &mut families.entry(family.clone()).or_default().0;
                    if !heads.iter().any(|head| head == line) {
                        heads.push(line.to_owned());
                    }
                } else if !line.is_empty() {
                    families.entry(family.clone()).or_default().1.push(with_labels(line, &place));
                }
            }
        }
        // A family's samples stand together, as the format asks for.
        families.into_values().flat_map(|(heads, samples)| heads.into_iter().chain(samples)).fold(
            String::new(),
            |mut text, line| {
                text.push_str(&line);
                text.push('\n');
                text
            },
        )
    }
}

fn with_labels(sample: &str, labels: &str) -> String {
    match (sample.find('{'), sample.find(' ')) {
        (Some(open), _) => format!("{}{{{labels},{}", &sample[..open], &sample[open + 1..]),
        (None, Some(space)) => format!("{}{{{labels}}}{}", &sample[..space], &sample[space..]),
        (None, None) => sample.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_get_labels() {
        assert_eq!(with_labels("up 1", "a=\"b\""), "up{a=\"b\"} 1");
        assert_eq!(with_labels("x{app=\"shop\"} 2", "a=\"b\""), "x{a=\"b\",app=\"shop\"} 2");
    }
}
