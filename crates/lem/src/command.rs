//! What each command does.

pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod ledger;
pub(crate) mod local;
pub(crate) mod pipeline;
pub(crate) mod reference;
pub(crate) mod run;
