//! Scanners as a library: a resource graph, pipeline files, Dockerfiles, lockfiles and text become findings.
//!
//! In: values and texts that somebody else read ([`files`] reads a tree, within limits). Out: [`Report`]s of [`Found`],
//! of what could not be judged ([`Unknown`]) and of what is wrong with the files. Rules are data: [`iac`] compiles the
//! tables under `rules/` in; [`dockerfile`] and [`cilint`] have a function per rule because their subjects are lines.
//! [`leaks`] finds secrets, [`sca`] reads lockfiles and matches advisories, [`sbom`] writes bills of materials.
//!
//! Invariants, stated as absences: no network; no value of a secret in any result; an unknown value is neither a pass
//! nor a failure; no file is skipped without a word; a version that does not parse is never clean.

pub mod cilint;
pub mod dockerfile;
pub mod files;
mod found;
pub mod iac;
pub mod leaks;
pub mod sbom;
pub mod sca;
pub mod skip;

pub use found::{Found, Identity, Report, Skipped, Unknown};
