//! The Terraform language as a library: files become a configuration, a configuration becomes values.
//!
//! An engine below stage 1 (provision). In: a folder of `.tf` and `.tf.json` files, variables, and somebody who answers
//! for the values of resources ([`eval::Resolve`]). Out: a [`config::Configuration`] whose every part knows its place,
//! [`value::Value`]s in which "not known yet" and "sensitive" are states of their own, references for a graph
//! ([`graph`]), and the material of infrastructure documents ([`docs`]).
//!
//! It knows no stage, no provider and no state, calls no process and no network, and reads files only below the folders
//! it is given and where an expression such as `file()` says so. What it does not know it refuses by name with file,
//! line and column; it never skips and never guesses.

pub mod address;
pub mod config;
pub mod docs;
pub mod eval;
pub mod functions;
pub mod graph;
pub mod syntax;
pub mod value;

pub use address::{InstanceKey, Mode, ModuleAddress, ModuleStep, ResourceAddress};
pub use config::{Configuration, Module};
pub use eval::{Evaluator, Resolve, Scope};
pub use value::{Number, Type, Value};
