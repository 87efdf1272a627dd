//! Arguments of `lem scan`, `lem attest` and `lem advisories`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Scan {
    /// Directory or file; where you are when not given.
    pub path: Option<PathBuf>,
    /// Form.
    #[arg(long, value_enum, default_value_t = ScanFormat::Text)]
    pub format: ScanFormat,
    /// Findings from here on give exit code 1: info, low, medium, high, critical; high unless lem.yaml says otherwise.
    #[arg(long)]
    pub severity: Option<String>,
    /// Only findings that this branch or commit does not have.
    #[arg(long, value_name = "BASE")]
    pub new_only: Option<String>,
    /// Also every line a commit ever added, for secrets.
    #[arg(long)]
    pub history: bool,
    /// What cannot be judged gives exit code 1, too.
    #[arg(long)]
    pub strict_unknown: bool,
    /// Fetch advisories first; exit code 3 when they cannot be fetched.
    #[arg(long)]
    pub update: bool,
}

/// Form of a scan's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For code hosts (SARIF 2.1.0).
    Sarif,
    /// For test reports.
    Junit,
    /// The bill of materials alone (CycloneDX 1.6).
    Cyclonedx,
}

#[derive(Debug, Subcommand)]
pub enum Attest {
    /// Checks the signature of a statement, and what it speaks about.
    Verify {
        /// DSSE envelope.
        file: PathBuf,
        /// Public key, name+id+base64, or a file that has it.
        #[arg(long)]
        key: String,
        /// The artifact: a file, or sha256: and its digest.
        #[arg(long)]
        artifact: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Advisories {
    /// Of which day they are, per ecosystem.
    Show,
    /// Takes OSV documents from a file, a directory or a zip archive.
    Import {
        /// File or directory.
        path: PathBuf,
    },
    /// Fetches them; exit code 3 when they cannot be fetched.
    Update {
        /// Address below which <ecosystem>/all.zip stands.
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
}
