//! Layer 7 router: the part of stage 3, deploy, that moves traffic between versions.
//!
//! In: a [`RoutePlan`] per app, and requests in HTTP/1.1 or in HTTP/2 with prior knowledge. Out: responses
//! of the versions, which are spoken to in HTTP/1.1; exact counts per version ([`VersionCounts`]),
//! Prometheus text, access records. Events: none; the stage that applies plans tells the ledger.
//!
//! ```text
//! client -> server -> framing -> proxy -> table (rules, sticky, shares) -> exchange -> upstream -> version
//!                                  |-> mirror, tunnel          flight, body -> observe
//! ```
//!
//! What it must never do:
//! - serve a table that is half old and half new: a plan is swapped in whole or refused whole;
//! - send a request to a version that [`RouterHandle::drain`] has reported as drained;
//! - pass on a message whose end two readers could see in different places (RFC 9112 section 6);
//! - send a request twice unless it is idempotent, or not a byte of it had been sent;
//! - use an upstream connection again before its last exchange is over;
//! - pass bytes as a tunnel before the version answered 101;
//! - cache.

mod body;
mod drain;
mod exchange;
mod flight;
mod framing;
mod headers;
pub mod limits;
mod matching;
mod mirror;
mod observe;
mod plan;
mod proxy;
mod router;
mod server;
mod split;
mod table;
mod tunnel;
mod upstream;

pub use drain::{Drained, Tunnel};
pub use headers::Forwarded;
pub use observe::{AccessRecord, BUCKETS_MICROS, VersionCounts};
pub use plan::{
    Condition, Generation, MatchRule, Mirror, MirrorMethods, Pattern, PlanError, RoutePlan, Sticky, VersionRoute,
};
pub use router::{Router, RouterError, RouterHandle, RouterOptions, Workers};
