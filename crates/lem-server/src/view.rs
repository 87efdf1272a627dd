//! Pages from the record: pure functions, told what time it is.

pub mod change;
pub mod deploy;
pub mod event;
pub mod home;
pub mod incident;
pub mod log;
pub mod run;
pub mod search;
