//! The `lem` binary. See `lib.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lem::main()
}
