//! What the configuration and the command line say together.

use crate::exit::{Failure, invalid, usage};
use lem_engine_yaml::{Node, Reader};
use lem_model::Diagnostic;
use lem_source::{CONFIG_FILE, Project};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Who may read what the server shows; writing always needs the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Whoever reaches the port.
    #[default]
    Open,
    /// Whoever has the token.
    Token,
}

/// Settings of the program itself; stages read their own sections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The repository and its configuration.
    pub(crate) project: Project,
    /// Where state is kept.
    pub(crate) data: PathBuf,
    /// Where the server listens, when `lem.yaml` says it.
    pub(crate) listen: Option<String>,
    /// Who may read.
    pub(crate) read: Reads,
    /// Names the server answers to, beside `localhost` and plain addresses.
    pub(crate) hosts: Vec<String>,
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
            listen: None,
            read: Reads::default(),
            hosts: vec![],
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
        let section = self.project.section("server").cloned();
        if let Some(mut fields) = section.as_ref().and_then(|n| reader.fields(n, "server")) {
            self.listen = fields.take("listen").and_then(|n| listen(reader, n));
            self.read = fields.take("read").and_then(|n| reads(reader, n)).unwrap_or_default();
            self.hosts = fields.take("hosts").and_then(|n| reader.strings(n, "hosts")).unwrap_or_default();
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

fn listen(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader.string(node, "listen")?;
    if text.parse::<SocketAddr>().is_err() {
        let hint = format!("write an address and a port: {}", crate::serve::DEFAULT_LISTEN);
        reader.error_with_hint(node, "bad-address", format!("{text:?} is no address to listen on"), hint);
        return None;
    }
    Some(text)
}

fn reads(reader: &Reader, node: &Node) -> Option<Reads> {
    match reader.string(node, "read")?.as_str() {
        "open" => Some(Reads::Open),
        "token" => Some(Reads::Token),
        other => {
            reader.error_with_hint(node, "unknown-value", format!("read cannot be {other:?}"), "open or token");
            None
        }
    }
}
