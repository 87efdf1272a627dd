//! Arguments of `lem plan`, `apply`, `destroy`, `drift`, `docs` and `state`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Infrastructure {
    /// Environment of lem.yaml; the only one when not given.
    #[arg(short, long)]
    pub environment: Option<String>,
    /// Variable; the last one wins.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// File of variables.
    #[arg(long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<String>,
    /// Only this block, module or instance, and what it needs.
    #[arg(long = "target", value_name = "ADDRESS")]
    pub targets: Vec<String>,
    /// Replace this instance.
    #[arg(long = "replace", value_name = "ADDRESS")]
    pub replace: Vec<String>,
    /// Take what exists from the state without looking.
    #[arg(long)]
    pub no_refresh: bool,
    /// Only take into the state what changed outside.
    #[arg(long)]
    pub refresh_only: bool,
    /// native, or terraform for an installed terraform or tofu; native unless lem.yaml says otherwise.
    #[arg(long)]
    pub engine: Option<String>,
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub infrastructure: Infrastructure,
    /// Plan to destroy everything.
    #[arg(long)]
    pub destroy: bool,
    /// Exit code 2 when there are changes, as Terraform has it.
    #[arg(long)]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    pub infrastructure: Infrastructure,
    /// Operations at once.
    #[arg(long, default_value_t = 10)]
    pub parallelism: usize,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// Go past a policy that refuses; who does and why is recorded.
    #[arg(long, value_name = "REASON", value_parser = NonEmptyStringValueParser::new())]
    pub override_policy: Option<String>,
    /// Go past a budget that refuses; who does and why is recorded.
    #[arg(long, value_name = "REASON", value_parser = NonEmptyStringValueParser::new())]
    pub override_budget: Option<String>,
    /// Seconds to wait for somebody else's lock; long enough for the lease of one that was killed.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    pub lock_timeout: u64,
}

#[derive(Debug, Args)]
pub struct Docs {
    /// Folder of the module; the root of lem.yaml, or where you are, when not given.
    pub folder: Option<PathBuf>,
    /// Put the text between its markers in this file.
    #[arg(long, value_name = "FILE")]
    pub into: Option<PathBuf>,
    /// Write nothing; exit code 1 when the file would change.
    #[arg(long, requires = "into")]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct State {
    /// Environment of lem.yaml; the only one when not given.
    #[arg(short, long, global = true)]
    pub environment: Option<String>,
    #[command(subcommand)]
    pub command: StateCommand,
}

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Addresses, and who holds the lock.
    List,
    /// One object; sensitive values are not shown.
    Show {
        /// Address.
        address: String,
    },
    /// Gives an object another address.
    Mv {
        /// Old address.
        from: String,
        /// New address.
        to: String,
    },
    /// Takes an object out of the state and leaves it alone.
    Rm {
        /// Address.
        address: String,
    },
    /// Frees a lock by its identity.
    Unlock {
        /// Identity, as the message about the lock says it.
        id: String,
    },
}
