//! The Terraform language as a library: files become a configuration, a configuration becomes values.
//!
//! Knows no stage, no provider and no state.
