//! Automation of the project itself: `cargo xtask tidy | conformance SUITE DIR | advisories DIR`.

mod advisories;
mod borders;
mod conformance;
mod prices;
mod text;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "xtask", about = "Automation of the project itself")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Crate borders, event ownership, file sizes, words that do not belong here.
    Tidy,
    /// Runs a suite of a reference implementation's own cases against us.
    Conformance {
        /// github-expressions, github-reader or promqltest.
        suite: String,
        /// Folder with the cases.
        dir: PathBuf,
    },
    /// Builds the embedded price book from an unpacked apache-libcloud wheel.
    Prices {
        /// Folder with `libcloud/`.
        dir: PathBuf,
    },
    /// Makes the embedded advisory snapshot from a checkout of the RustSec database.
    Advisories {
        /// Folder that has `crates/`.
        dir: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Tidy => tidy(),
        Command::Advisories { dir } => advisories::run(&root(), &dir),
        Command::Conformance { suite, dir } => conformance::run(&suite, &dir),
        Command::Prices { dir } => prices::build(&root(), &dir),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, PathBuf::from)
}

fn tidy() -> Result<()> {
    let mut problems = borders::check()?;
    problems.extend(text::check(&root())?);
    if problems.is_empty() {
        println!("tidy: borders, events, sizes and words are in order");
        return Ok(());
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    bail!("{} problem(s)", problems.len())
}
