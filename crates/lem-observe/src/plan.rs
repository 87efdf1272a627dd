//! Decisions, as pure functions over values; time is an argument.

pub mod alert;
pub mod incident;
pub mod notify;
