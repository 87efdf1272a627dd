//! The store as its clients use it, without the wire.

mod approle;
mod disk;
mod kv;
mod rig;
mod tokens;
mod wrapping;
