//! What runs leave behind: files by digest, artifacts as archives, test results.

pub mod archive;
pub mod blob;
pub mod junit;
pub mod select;
pub mod store;
