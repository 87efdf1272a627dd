//! What the caller wants routed: one value per app, checked whole before anything changes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// The table of one app: versions, their shares, and the exceptions from the shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePlan {
    /// Salt of the sticky buckets. Keep it for the steps of one release, change it with the next one.
    pub release: String,
    /// Hosts this app answers for, lower case, without port. Empty: every host.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Path prefix this app answers for, `/` for all.
    #[serde(default = "root")]
    pub path_prefix: String,
    /// The first version is the stable one: it keeps what the others do not take.
    pub versions: Vec<VersionRoute>,
    /// Requests that go to a version regardless of its weight.
    #[serde(default)]
    pub rules: Vec<MatchRule>,
    /// Whether a user stays with the version first met.
    #[serde(default)]
    pub sticky: Option<Sticky>,
    /// Copy of the traffic whose responses are dropped.
    #[serde(default)]
    pub mirror: Option<Mirror>,
    /// Time to connect to an endpoint.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Time from the request to the response head.
    #[serde(default = "upstream_timeout_ms")]
    pub upstream_timeout_ms: u64,
    /// Largest request body.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: u64,
}

fn root() -> String {
    "/".to_owned()
}
fn connect_timeout_ms() -> u64 {
    limits::CONNECT_TIMEOUT_MS
}
fn upstream_timeout_ms() -> u64 {
    limits::UPSTREAM_TIMEOUT_MS
}
fn body_bytes_max() -> u64 {
    limits::BODY_BYTES_MAX
}

impl RoutePlan {
    /// A plan for every host and path with default limits.
    pub fn new(release: impl Into<String>, versions: Vec<VersionRoute>) -> Self {
        Self {
            release: release.into(),
            hosts: Vec::new(),
            path_prefix: root(),
            versions,
            rules: Vec::new(),
            sticky: None,
            mirror: None,
            connect_timeout_ms: connect_timeout_ms(),
            upstream_timeout_ms: upstream_timeout_ms(),
            body_bytes_max: body_bytes_max(),
        }
    }
}

/// One version: where it runs and its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRoute {
    /// Name of the version; sent to clients as `x-release`.
    pub id: String,
    /// Where its instances listen.
    pub endpoints: Vec<SocketAddr>,
    /// Share relative to the sum of all weights.
    pub weight: u32,
}

impl VersionRoute {
    /// A version with its endpoints and weight.
    pub fn new(id: impl Into<String>, endpoints: Vec<SocketAddr>, weight: u32) -> Self {
        Self { id: id.into(), endpoints, weight }
    }
}

/// Sends matching requests to one version. Rules with a header condition are asked before rules with
/// cookies only; within these groups the order of the plan counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchRule {
    /// The version that matching requests get.
    pub version: String,
    /// All of these must hold.
    pub when: Vec<Condition>,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// A request header.
    Header {
        /// Header name.
        name: String,
        /// What its value must be.
        value: Pattern,
    },
    /// A cookie.
    Cookie {
        /// Cookie name.
        name: String,
        /// What its value must be.
        value: Pattern,
    },
}

/// What a value must look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// Any value.
    Present,
    /// Exactly this value.
    Exact(String),
    /// A value that starts so.
    Prefix(String),
}

/// How a user is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sticky {
    /// Header that identifies the user, asked first; without one only the cookie counts.
    #[serde(default)]
    pub header: Option<String>,
    /// Cookie that identifies the user; issued to clients that bring no key.
    pub cookie: String,
    /// Life of an issued cookie.
    pub max_age_seconds: u32,
}

impl Sticky {
    /// Recognise users by this cookie for a day.
    pub fn cookie(name: impl Into<String>) -> Self {
        Self { header: None, cookie: name.into(), max_age_seconds: 86_400 }
    }
}

/// A copy of requests to another version; its responses are read and dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The version that gets the copies.
    pub version: String,
    /// Which requests are copied.
    pub methods: MirrorMethods,
    /// Copies in flight; further requests are not copied.
    pub in_flight_max: u32,
}

impl Mirror {
    /// Copy safe requests to this version.
    pub fn to(version: impl Into<String>) -> Self {
        Self { version: version.into(), methods: MirrorMethods::Safe, in_flight_max: limits::MIRROR_IN_FLIGHT_MAX }
    }
}

/// Which requests a mirror copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorMethods {
    /// GET, HEAD and OPTIONS.
    Safe,
    /// Every method, writes included: the mirrored version must not share state with the real one.
    All,
}

/// Number of the table an app serves; grows by one with each accepted plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Why a plan was refused. The table in service is untouched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("the plan names no version")]
    NoVersions,
    #[error("the weights of all versions are zero")]
    ZeroWeight,
    #[error("version {0} has no endpoint")]
    NoEndpoints(String),
    #[error("version {0} is listed twice")]
    DuplicateVersion(String),
    #[error("{what} names version {version}, which the plan does not list")]
    UnknownVersion { what: &'static str, version: String },
    #[error("{what}: {count} given, at most {max} allowed")]
    TooMany { what: &'static str, count: usize, max: usize },
    #[error("{what} {value:?} cannot be used in an HTTP message")]
    Malformed { what: &'static str, value: String },
    #[error("{0} must be more than zero")]
    Zero(&'static str),
    #[error("path prefix {0:?} does not start with a slash")]
    PathPrefix(String),
    #[error("app {0} already answers for this host and path")]
    SameRoute(String),
    #[error("a rule for version {0} has no condition")]
    EmptyRule(String),
}

/// Checks the whole plan; pure.
pub(crate) fn check(plan: &RoutePlan) -> Result<(), PlanError> {
    at_most("versions", plan.versions.len(), limits::VERSIONS_MAX)?;
    at_most("rules", plan.rules.len(), limits::RULES_MAX)?;
    if plan.versions.is_empty() {
        return Err(PlanError::NoVersions);
    }
    for (at, version) in plan.versions.iter().enumerate() {
        check_version(version)?;
        if plan.versions[..at].iter().any(|v| v.id == version.id) {
            return Err(PlanError::DuplicateVersion(version.id.clone()));
        }
    }
    if plan.versions.iter().all(|v| v.weight == 0) {
        return Err(PlanError::ZeroWeight);
    }
    if !plan.path_prefix.starts_with('/') {
        return Err(PlanError::PathPrefix(plan.path_prefix.clone()));
    }
    for (what, value) in [("connect timeout", plan.connect_timeout_ms), ("upstream timeout", plan.upstream_timeout_ms)]
    {
        if value == 0 {
            return Err(PlanError::Zero(what));
        }
    }
    check_exceptions(plan)
}

fn check_version(version: &VersionRoute) -> Result<(), PlanError> {
    at_most("endpoints", version.endpoints.len(), limits::ENDPOINTS_MAX)?;
    if version.id.is_empty() || http::HeaderValue::from_str(&version.id).is_err() {
        return Err(malformed("version id", &version.id));
    }
    if version.endpoints.is_empty() {
        return Err(PlanError::NoEndpoints(version.id.clone()));
    }
    Ok(())
}

fn check_exceptions(plan: &RoutePlan) -> Result<(), PlanError> {
    let known = |what, id: &str| {
        if plan.versions.iter().any(|v| v.id == id) {
            Ok(())
        } else {
            Err(PlanError::UnknownVersion { what, version: id.to_owned() })
        }
    };
    for rule in &plan.rules {
        known("a rule", &rule.version)?;
        if rule.when.is_empty() {
            return Err(PlanError::EmptyRule(rule.version.clone()));
        }
        for condition in &rule.when {
            match condition {
                Condition::Header { name, .. } => check_header(name)?,
                Condition::Cookie { name, .. } => check_cookie(name)?,
            }
        }
    }
    if let Some(mirror) = &plan.mirror {
        known("the mirror", &mirror.version)?;
        if mirror.in_flight_max == 0 {
            return Err(PlanError::Zero("mirrored requests in flight"));
        }
    }
    if let Some(sticky) = &plan.sticky {
        check_cookie(&sticky.cookie)?;
        if let Some(name) = &sticky.header {
            check_header(name)?;
        }
    }
    Ok(())
}

fn check_header(name: &str) -> Result<(), PlanError> {
    http::HeaderName::from_bytes(name.as_bytes()).map(drop).map_err(|_| malformed("header name", name))
}

/// A cookie name is a token, like a header name (RFC 6265 section 4.1.1).
fn check_cookie(name: &str) -> Result<(), PlanError> {
    http::HeaderName::from_bytes(name.as_bytes()).map(drop).map_err(|_| malformed("cookie name", name))
}

fn malformed(what: &'static str, value: &str) -> PlanError {
    PlanError::Malformed { what, value: value.to_owned() }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), PlanError> {
    if count > max {
        return Err(PlanError::TooMany { what, count, max });
    }
    Ok(())
}
