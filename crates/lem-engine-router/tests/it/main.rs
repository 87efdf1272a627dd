//! The router end to end over loopback: real sockets, origins whose behaviour the path chooses.
#![expect(clippy::unwrap_used, reason = "tests")]

mod drain;
mod faults;
mod framing;
mod http2;
mod lifecycle;
mod limits;
mod mirror;
mod observe;
mod plans;
mod split;
mod support;
mod tunnel;
