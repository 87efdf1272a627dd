//! What the configuration and the command line say together.

use crate::exit::{Failure, invalid, usage};
use lem_engine_yaml::Reader;
use lem_model::Diagnostic;
use lem_source::{CONFIG_FILE, Project};
use std::path::{Path, PathBuf};

/// Settings of the program itself; stages read their own sections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The repository and its configuration.
    pub(crate) project: Project,
    /// Where state is kept.
    pub(crate) data: PathBuf,
    database: Option<String>,
    origin: Option<String>,
}

impl Settings {
    /// Reads `lem.yaml` of the repository a directory is in.
    pub(crate) fn read(directory: &Path, data: Option<&Path>) -> Result<Self, Failure> {
        if !directory.is_dir() {
            return Err(usage(format!("{} is no directory", directory.display())));
        }
        let root = std::path::absolute(crate::root_of(directory)).map_err(|e| usage(e.to_string()))?;
        let project = Project::open(&root)?;
        let reader = Reader::new(CONFIG_FILE);
        let mut settings = Self {
            data: data.map_or_else(|| crate::data_directory(&root), Path::to_path_buf),
            database: None,
            origin: None,
            project,
        };
        settings.own_sections(&reader);
        let found = reader.into_diagnostics();
        if found.iter().any(Diagnostic::is_error) { Err(invalid(found)) } else { Ok(settings) }
    }

    fn own_sections(&mut self, reader: &Reader) {
        let section = self.project.section("ledger").cloned();
        if let Some(mut fields) = section.as_ref().and_then(|n| reader.fields(n, "ledger")) {
            self.database = fields.take("database").and_then(|n| reader.string(n, "database"));
            self.origin = fields.take("origin").and_then(|n| reader.string(n, "origin"));
            fields.finish();
        }
    }

    /// Where the ledger is.
    pub(crate) fn ledger(&self) -> lem_ledger::Options {
        let default = || format!("sqlite:{}", self.data.join("ledger.db").display());
        let url = std::env::var("LEM_DATABASE").ok().or_else(|| self.database.clone()).unwrap_or_else(default);
        let mut options = lem_ledger::Options::new(url, self.data.join("ledger"));
        options.origin.clone_from(&self.origin);
        options
    }

    /// A ledger that a command only looks at must exist: looking must not make one.
    pub(crate) fn require_ledger(&self) -> Result<(), Failure> {
        let file = self.data.join("ledger.db");
        if self.ledger().url.starts_with("sqlite:") && !file.exists() {
            return Err(usage(format!("there is no ledger at {}; lem up starts one", file.display())));
        }
        Ok(())
    }
}
