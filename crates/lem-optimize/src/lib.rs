//! Stage 6, optimize: what every change costs, where performance is lost, and what to do about it.
