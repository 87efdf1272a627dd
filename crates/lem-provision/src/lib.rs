//! Stage 1, provision: infrastructure files become plans, applied environments, drift and documents.
//!
//! In: Terraform configuration, CloudFormation templates, Kubernetes manifests, variable sets, existing state, and
//! requests for a drift check. Out: resource graphs for policy, cost and documents; sealed plans; environments with a
//! journaled state; facts of [`events`].
//!
//! It never applies what was not planned: an apply takes a sealed plan and nothing else. It never plans what it does not
//! know: an unknown provider, function or block is named with its place. No sensitive value leaves it, but for the state
//! file itself.

pub mod apply;
pub mod builtin;
mod cloudformation;
pub mod config;
pub mod docs;
mod error;
pub mod events;
pub mod exec;
pub mod execute;
pub mod graphs;
pub mod journal;
mod kubernetes;
pub mod lock;
mod object;
pub mod order;
pub mod plan;
pub mod planjson;
pub mod planread;
pub mod project;
pub mod render;
pub mod schema;
pub mod service;
pub mod state;
pub mod store;
mod terraform;

pub use cloudformation::MAX_RESOURCES;
pub use error::ProvisionError;
pub use execute::Environment;
pub use graphs::Graphs;
pub use kubernetes::MAX_OBJECTS;
pub use service::ProvisionService;
pub use terraform::of_plan as graph_of;
