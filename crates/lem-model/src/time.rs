//! Time is an argument: whoever decides is told what time it is.

use jiff::Timestamp;

/// Where the time comes from: the system in production, a hand-moved one in tests.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}
