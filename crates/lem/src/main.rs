//! The `lem` binary: command line, configuration, wiring.

fn main() {}
