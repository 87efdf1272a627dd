//! What moves instances and traffic. A target places versions and never routes; a router routes and never places.
//! Both take orders that say what should be, not what to change, so that an order given twice is an order given once.

pub mod embedded;
pub mod process;

use crate::DeployError;
use crate::evidence::Tallies;
use crate::plan::{Crash, Instance, Routed, Rule};
use crate::state::Placed;
use async_trait::async_trait;
use lem_model::port::Scope;
use lem_model::{Digest, Version};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;

/// What a target can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// More than one instance of a version.
    pub replicas: bool,
    /// Two versions at a time.
    pub side_by_side: bool,
    /// Instances of an earlier life of the program go on.
    pub adopts: bool,
}

/// A version as a target needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionSpec {
    /// Where.
    pub scope: Scope,
    /// What.
    pub placed: Placed,
    /// Digest of the configuration it runs with.
    pub config: Digest,
    /// Time it must stay healthy before it counts.
    pub min_ready: Duration,
}

/// Something that happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It runs.
    Started {
        /// Instance.
        instance: String,
        /// Version.
        version: Version,
        /// Address.
        address: SocketAddr,
        /// Process.
        pid: Option<u32>,
    },
    /// It ended.
    Exited {
        /// Instance.
        instance: String,
        /// Version.
        version: Version,
        /// `exit 1`, `signal 9`.
        status: String,
        /// Whether it was told to.
        expected: bool,
        /// What it last said.
        last_lines: Vec<String>,
    },
}

/// What a target sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Instances.
    pub instances: Vec<Instance>,
    /// Versions that do not stay up.
    pub crashed: BTreeMap<Version, Crash>,
    /// What happened since the last look.
    pub happened: Vec<Happening>,
}

/// Places versions.
#[async_trait]
pub trait Target: Send + Sync {
    /// What it can do.
    fn caps(&self) -> Caps;
    /// What is there now.
    async fn observe(&self, scope: &Scope) -> Result<Observed, DeployError>;
    /// So many instances of a version should run. Returns at once; [`Target::observe`] shows how far it is.
    async fn ensure(&self, version: &VersionSpec, replicas: u32) -> Result<(), DeployError>;
    /// No instance of a version should run; each gets this long to end by itself. Returns at once.
    async fn retire(&self, scope: &Scope, version: &Version, grace: Duration) -> Result<(), DeployError>;
    /// Removes what is kept of versions other than these, none of which runs.
    async fn forget(&self, keep: &[Digest]) -> Result<(), DeployError>;
    /// Changes whenever there is something new to see.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Routes traffic.
#[async_trait]
pub trait Router: Send + Sync {
    /// Serves a table, all of it or none.
    async fn apply(&self, scope: &Scope, release: &str, table: &Table) -> Result<Routed, DeployError>;
    /// The table in service.
    fn served(&self, scope: &Scope) -> Option<Routed>;
    /// Counts by version since the router started.
    fn counts(&self, scope: &Scope, slower_than: Option<Duration>) -> Tallies;
    /// Waits until nothing is under way to a version, or the grace is over; gives what was left.
    async fn drain(&self, scope: &Scope, version: &Version, grace: Duration) -> Result<u64, DeployError>;
}

/// A table: versions with addresses and weights, stable first, and exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Versions.
    pub versions: Vec<(Version, Vec<SocketAddr>, u32)>,
    /// Exceptions.
    pub rules: Vec<Rule>,
}
