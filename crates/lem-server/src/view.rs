//! Pages from the record: pure functions, told what time it is.

pub mod change;
pub mod deploy;
pub mod event;
pub mod home;
pub mod incident;
pub mod log;
pub mod optimize;
pub mod provision;
pub mod run;
pub mod search;
pub mod secure;
pub mod stations;

pub(crate) use lem_model::text::counted;
