//! What each command does.

pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod ledger;
pub(crate) mod local;
pub(crate) mod observe;
pub(crate) mod optimize;
pub(crate) mod pipeline;
pub(crate) mod provision;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod secure;
