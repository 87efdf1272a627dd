//! The table in service: an immutable value, replaced as a whole. Counters and connections live in
//! [`AppState`], [`Version`] and [`Endpoint`], which tables share, so a new table loses nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::drain::Tunnels;
use crate::limits;
use crate::matching::{self, Rule};
use crate::observe::Stats;
use crate::plan::{Generation, MirrorMethods, RoutePlan, Sticky};
use crate::split::{self, Shares};
use crate::upstream::Endpoint;

/// All apps, the most specific route first.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) apps: Vec<Arc<AppTable>>,
}

impl Table {
    /// The app that answers for this host and path.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<AppTable>> {
        let host = matching::host_name(host);
        self.apps.iter().find(|app| {
            (app.plan.hosts.is_empty() || app.plan.hosts.iter().any(|h| h.eq_ignore_ascii_case(host)))
                && matching::under(path, &app.plan.path_prefix)
        })
    }

    /// This table with one app put in, or taken out.
    pub(crate) fn with(&self, name: &str, app: Option<Arc<AppTable>>) -> Self {
        let others = self.apps.iter().filter(|other| &*other.state.name != name);
        let mut apps: Vec<_> = others.cloned().chain(app).collect();
        apps.sort_by_key(|app| (app.plan.hosts.is_empty(), std::cmp::Reverse(app.plan.path_prefix.len())));
        Self { apps }
    }
}

/// One app's plan, ready to be asked.
#[derive(Debug)]
pub(crate) struct AppTable {
    pub(crate) state: Arc<AppState>,
    pub(crate) generation: Generation,
    pub(crate) plan: RoutePlan,
    pub(crate) routes: Vec<Route>,
    pub(crate) connect_timeout: Duration,
    pub(crate) upstream_timeout: Duration,
    pub(crate) mirror: Option<MirrorRoute>,
    shares: Shares,
    rules: Vec<Rule>,
    sticky: Option<StickyRoute>,
}

#[derive(Debug)]
pub(crate) struct MirrorRoute {
    pub(crate) route: usize,
    pub(crate) methods: MirrorMethods,
    pub(crate) in_flight_max: u32,
}

#[derive(Debug)]
struct StickyRoute {
    salt: u64,
    header: Option<HeaderName>,
    plan: Sticky,
    owners: Arc<[u8]>,
}

/// A version as one table sees it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) version: Arc<Version>,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    weight: u32,
    next: AtomicUsize,
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) route: usize,
    /// The cookie to issue.
    pub(crate) cookie: Option<HeaderValue>,
}

/// What outlives the tables of an app.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) name: Arc<str>,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) budget: Budget,
    pub(crate) unhealthy: AtomicU64,
    pub(crate) mirror: MirrorState,
    turn: AtomicU64,
}

/// Counts of mirrored requests.
#[derive(Debug, Default)]
pub(crate) struct MirrorState {
    pub(crate) in_flight: AtomicU32,
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// Versions known to an app in order of appearance, and the state of its sticky buckets.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) versions: Vec<Arc<Version>>,
    generation: u64,
    sticky: Option<StickyState>,
}

#[derive(Debug)]
struct StickyState {
    release: String,
    versions: Vec<String>,
    owners: Arc<[u8]>,
}

/// One version: its counters, its drain, its endpoints.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) app: Arc<AppState>,
    pub(crate) id: Arc<str>,
    pub(crate) header: HeaderValue,
    pub(crate) stats: Stats,
    pub(crate) in_flight: AtomicU64,
    pub(crate) draining: AtomicBool,
    /// The drain's grace is over; what fails now fails with 504.
    pub(crate) overdue: AtomicBool,
    pub(crate) empty: Notify,
    pub(crate) tunnels: Tunnels,
    pub(crate) cut: Mutex<CancellationToken>,
    pub(crate) endpoints: Mutex<Vec<Arc<Endpoint>>>,
}

impl Version {
    fn new(app: Arc<AppState>, id: &str) -> Self {
        Self {
            app,
            id: id.into(),
            header: HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("unnamed")),
            stats: Stats::default(),
            in_flight: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
            empty: Notify::new(),
            tunnels: Tunnels::default(),
            cut: Mutex::default(),
            endpoints: Mutex::default(),
        }
    }

    /// Counts a request in, unless the version drains. The order matters: the count is up before the
    /// flag is read, and a drain sets the flag before it reads the count, so neither misses the other.
    pub(crate) fn enter(&self) -> bool {
        self.in_flight.fetch_add(1, SeqCst);
        if self.draining.load(SeqCst) {
            self.leave();
            return false;
        }
        true
    }

    pub(crate) fn leave(&self) {
        if self.in_flight.fetch_sub(1, SeqCst) == 1 && self.draining.load(SeqCst) {
            self.empty.notify_waiters();
        }
    }

    /// Ends a drain: the version has traffic again.
    fn revive(&self) {
        self.overdue.store(false, SeqCst);
        self.draining.store(false, SeqCst);
        self.empty.notify_waiters();
    }

    fn open(&self, addrs: &[SocketAddr], workers: usize) -> Vec<Arc<Endpoint>> {
        let mut known = self.endpoints.lock();
        let wanted = addrs
            .iter()
            .map(|addr| {
                let found = known.iter().find(|endpoint| endpoint.addr == *addr);
                found.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(*addr, workers)))
            })
            .collect::<Vec<_>>();
        known.clone_from(&wanted);
        wanted
    }
}

impl Route {
    fn is_available(&self, clock_ms: u64) -> bool {
        !self.version.draining.load(Relaxed) && self.is_healthy(clock_ms)
    }

    fn is_healthy(&self, clock_ms: u64) -> bool {
        self.endpoints.iter().any(|e| !e.is_ejected(clock_ms))
    }

    /// The next healthy endpoint in turn, another one than last time if there is one.
    pub(crate) fn endpoint(&self, clock_ms: u64, last: Option<SocketAddr>) -> Option<Arc<Endpoint>> {
        if let [only] = &*self.endpoints {
            return (!only.is_ejected(clock_ms)).then(|| only.clone());
        }
        let start = self.next.fetch_add(1, Relaxed);
        let turn = (0..self.endpoints.len()).map(|at| &self.endpoints[start.wrapping_add(at) % self.endpoints.len()]);
        let mut healthy = turn.filter(|endpoint| !endpoint.is_ejected(clock_ms)).peekable();
        let fallback = healthy.peek().copied();
        healthy.find(|endpoint| Some(endpoint.addr) != last).or(fallback).cloned()
    }
}

impl AppState {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            registry: Mutex::default(),
            budget: Budget::default(),
            unhealthy: AtomicU64::new(0),
            mirror: MirrorState::default(),
            turn: AtomicU64::new(0),
        }
    }
}

impl AppTable {
    /// Compiles a checked plan, taking over what earlier tables of the app left.
    pub(crate) fn compile(state: &Arc<AppState>, plan: RoutePlan, workers: usize) -> Self {
        let mut registry = state.registry.lock();
        registry.generation += 1;
        let routes: Vec<Route> = plan
            .versions
            .iter()
            .map(|wanted| {
                let version = registry.version(state, &wanted.id);
                let endpoints = version.open(&wanted.endpoints, workers);
                if wanted.weight > 0 || plan.rules.iter().any(|rule| rule.version == wanted.id) {
                    version.revive();
                }
                Route { version, endpoints, weight: wanted.weight, next: AtomicUsize::new(0) }
            })
            .collect();
        registry.retire(&plan);
        let weights: Vec<u32> = plan.versions.iter().map(|v| v.weight).collect();
        let sticky = plan.sticky.clone().map(|sticky| StickyRoute {
            salt: split::salt(&plan.release),
            header: sticky.header.as_ref().and_then(|name| name.parse().ok()),
            owners: registry.assign(&plan, &weights),
            plan: sticky,
        });
        let mirror = plan.mirror.as_ref().and_then(|mirror| {
            let route = plan.versions.iter().position(|v| v.id == mirror.version)?;
            Some(MirrorRoute { route, methods: mirror.methods, in_flight_max: mirror.in_flight_max })
        });
        Self {
            state: state.clone(),
            generation: Generation(registry.generation),
            routes,
            connect_timeout: Duration::from_millis(plan.connect_timeout_ms),
            upstream_timeout: Duration::from_millis(plan.upstream_timeout_ms),
            mirror,
            shares: Shares::new(&weights),
            rules: matching::compile(&plan),
            sticky,
            plan,
        }
    }

    /// The version for a request: rules, then the sticky bucket, then the weights. A rule's version
    /// without a healthy endpoint is an error; a share's is replaced by another version with a share.
    pub(crate) fn choose(&self, headers: &HeaderMap, clock_ms: u64) -> Option<Choice> {
        for rule in &self.rules {
            if rule.holds(headers) && !self.routes[rule.version].version.draining.load(Relaxed) {
                return self.routes[rule.version]
                    .is_healthy(clock_ms)
                    .then_some(Choice { route: rule.version, cookie: None });
            }
        }
        let (wanted, cookie) = match &self.sticky {
            Some(sticky) => sticky.owner(headers),
            None => (self.shares.pick(self.state.turn.fetch_add(1, Relaxed)), None),
        };
        if self.routes[wanted].is_available(clock_ms) {
            return Some(Choice { route: wanted, cookie });
        }
        let route = self.instead(wanted, clock_ms)?;
        Some(Choice { route, cookie })
    }

    fn instead(&self, wanted: usize, clock_ms: u64) -> Option<usize> {
        let usable = |at: &usize| self.routes[*at].weight > 0 && self.routes[*at].is_available(clock_ms);
        // A few random picks keep the proportions of the others; the scan makes sure none is overlooked.
        // Taking turns here would skew the turns of everyone else.
        let turns = (0..8).map(|_| self.shares.pick(rand::random()));
        let found = turns.chain(0..self.routes.len()).find(usable);
        if found.is_some() && !self.routes[wanted].version.draining.load(Relaxed) {
            self.routes[wanted].version.stats.diverted.fetch_add(1, Relaxed);
        }
        found
    }
}

impl StickyRoute {
    fn owner(&self, headers: &HeaderMap) -> (usize, Option<HeaderValue>) {
        let header = self.header.as_ref().and_then(|name| headers.get(name));
        let key = header
            .map(HeaderValue::as_bytes)
            .or_else(|| matching::cookie(headers, &self.plan.cookie).map(str::as_bytes))
            .filter(|key| !key.is_empty() && key.len() <= limits::STICKY_KEY_BYTES_MAX);
        if let Some(key) = key {
            return (usize::from(self.owners[split::bucket(self.salt, key)]), None);
        }
        let key = format!("{:016x}", rand::random::<u64>());
        let owner = usize::from(self.owners[split::bucket(self.salt, key.as_bytes())]);
        let Sticky { cookie, max_age_seconds, .. } = &self.plan;
        let issue = format!("{cookie}={key}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax");
        (owner, HeaderValue::try_from(issue).ok())
    }
}

impl Registry {
    fn version(&mut self, app: &Arc<AppState>, id: &str) -> Arc<Version> {
        if let Some(known) = self.versions.iter().find(|v| &*v.id == id) {
            return known.clone();
        }
        let version = Arc::new(Version::new(app.clone(), id));
        self.versions.push(version.clone());
        version
    }

    /// Forgets the longest retired versions beyond the limit.
    fn retire(&mut self, plan: &RoutePlan) {
        let retired = |v: &Arc<Version>| !plan.versions.iter().any(|p| *p.id == *v.id);
        // Their connections close once the requests on them are over.
        self.versions.iter().filter(|v| retired(v)).for_each(|v| v.endpoints.lock().clear());
        let mut excess =
            self.versions.iter().filter(|v| retired(v)).count().saturating_sub(limits::RETIRED_VERSIONS_MAX);
        self.versions.retain(|version| {
            let forget = excess > 0 && retired(version) && version.in_flight.load(SeqCst) == 0;
            excess -= usize::from(forget);
            !forget
        });
    }

    fn assign(&mut self, plan: &RoutePlan, weights: &[u32]) -> Arc<[u8]> {
        let before = self.sticky.as_ref().filter(|state| state.release == plan.release).map(|state| {
            let now: Vec<Option<u8>> = state
                .versions
                .iter()
                .map(|id| plan.versions.iter().position(|v| v.id == *id).map(|at| at as u8))
                .collect();
            state.owners.iter().map(|owner| now[usize::from(*owner)]).collect::<Vec<_>>()
        });
        let owners: Arc<[u8]> = split::assign(weights, before.as_deref()).into();
        self.sticky = Some(StickyState {
            release: plan.release.clone(),
            versions: plan.versions.iter().map(|v| v.id.clone()).collect(),
            owners: owners.clone(),
        });
        owners
    }
}

/// Retries an app may spend: each request earns a fifth of one, and there is a cap on savings, so
/// retries add at most a fifth to a failing upstream's load.
#[derive(Debug)]
pub(crate) struct Budget(AtomicI64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicI64::new(i64::from(limits::RETRIES_AT_START * limits::REQUESTS_PER_RETRY)))
    }
}

impl Budget {
    pub(crate) fn earn(&self) {
        if self.0.load(Relaxed) < i64::from(limits::RETRIES_SAVED_MAX * limits::REQUESTS_PER_RETRY) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn spend(&self) -> bool {
        let price = i64::from(limits::REQUESTS_PER_RETRY);
        if self.0.fetch_sub(price, Relaxed) >= price {
            return true;
        }
        self.0.fetch_add(price, Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_earned_spent_and_capped() {
        let budget = Budget::default();
        let spent = |budget: &Budget| (0..10_000).take_while(|_| budget.spend()).count() as u32;
        assert_eq!(spent(&budget), limits::RETRIES_AT_START);
        (0..2 * limits::REQUESTS_PER_RETRY).for_each(|_| budget.earn());
        assert_eq!(spent(&budget), 2);
        (0..100 * limits::RETRIES_SAVED_MAX).for_each(|_| budget.earn());
        assert_eq!(spent(&budget), limits::RETRIES_SAVED_MAX);
    }
}
