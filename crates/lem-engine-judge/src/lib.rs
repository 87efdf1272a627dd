//! Statistics that judge a release (box 3 of the workflow, deploy; also asked by feedback to rank changes).
//!
//! In: counts per interval of the new and the stable version, or measurements of metrics. Out: a verdict with the
//! evidence behind it. No events of its own: the stage records counts and verdicts, and a verdict replays byte for
//! byte from the recorded counts.
//!
//! Three judges, from strong to simple:
//! - [`sequential`]: an e-process over both versions' counts. May be looked at as often as one likes; the chance of
//!   ever calling a release bad that is not worse than tolerated stays below `alpha`.
//! - [`analysis`] with [`condition`]: analysis runs with Argo Rollouts' exact meaning.
//! - [`threshold`]: Flagger's failed-check counter.
//!
//! It must never do IO, read a clock or draw a random number: time and seeds are arguments. Logarithms and powers
//! come from `libm`, because the standard library's differ between platforms in the last bit.

pub mod analysis;
pub mod condition;
pub mod dispersion;
mod math;
pub mod sequential;
pub mod threshold;
