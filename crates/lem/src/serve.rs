//! The server of a loop: takes the port, finds the token, and gives the stages' answers in the shapes the server asks for.

mod alerting;
mod metrics;
mod pages;
mod runs;
pub(crate) mod surroundings;
mod watching;

use crate::exit::{Failure, usage};
use crate::settings::{Reads, Settings};
use lem_feedback::LoopState;
use lem_ledger::{EventLog, Ledger, View};
use lem_model::Clock;
use lem_model::text::with_causes;
use lem_observe::ObserveService;
use lem_pipeline::LogBook;
use lem_server::view::home::Repository;
use lem_server::{Audit, Hosts, Reading, Server, ServerError, ServerParts};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where the server listens when nobody says otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:4700";
/// Environment variable with the token.
pub(crate) const TOKEN_VARIABLE: &str = "LEM_TOKEN";
/// File with the token, in the data directory.
pub(crate) const TOKEN_FILE: &str = "token";

/// Where the token is from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TokenFrom {
    Variable,
    File(PathBuf),
}

/// The token of everything that writes.
#[derive(Clone)]
struct Token {
    text: String,
    from: TokenFrom,
}

/// A port that is ours, before anything else is started.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    token: Token,
}

/// What the stages of a loop offer to the server.
pub(crate) struct Stages<'a> {
    pub(crate) ledger: &'a Arc<Ledger>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) feedback: View<LoopState>,
    pub(crate) observe: &'a ObserveService,
    pub(crate) logs: LogBook,
    pub(crate) branch: &'a str,
    pub(crate) surroundings: Arc<dyn lem_server::port::Surroundings>,
    pub(crate) vault: Arc<lem_engine_vault::Vault>,
}

impl Door {
    /// Takes the port and the token, or says why that is not possible.
    pub(crate) async fn open(settings: &Settings, listen: Option<&str>) -> Result<Self, Failure> {
        let wanted = listen.or(settings.listen.as_deref()).unwrap_or(DEFAULT_LISTEN);
        let address = wanted
            .parse()
            .map_err(|_| usage(format!("{wanted:?} is no address to listen on; write one like {DEFAULT_LISTEN}")))?;
        let listener = lem_server::listen(address).await.map_err(|error| taken(&error))?;
        let address = listener.local_addr().map_err(|e| usage(e.to_string()))?;
        let token = token(&settings.data)?;
        remember(&settings.data, address)?;
        Ok(Self { listener, address, token })
    }

    /// The token of everything that writes.
    pub(crate) fn token(&self) -> &str {
        &self.token.text
    }

    /// Where people and tools find it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server is up: where, and how to be allowed to write. The token itself is for a terminal only, so that it does
    /// not end in logs.
    pub(crate) fn introduction(&self) -> Vec<String> {
        let mut lines = vec![format!("web UI and API on {}/", self.url())];
        lines.push(match &self.token.from {
            _ if std::io::stderr().is_terminal() => {
                format!("to act there, open {}/#token={}", self.url(), self.token.text)
            }
            TokenFrom::Variable => format!("to act there, open {}/#token=$LEM_TOKEN", self.url()),
            TokenFrom::File(path) => format!("to act there, open {}/#token=$(cat {})", self.url(), path.display()),
        });
        lines
    }

    /// Puts the server on the port.
    pub(crate) fn server(self, settings: &Settings, stages: &Stages<'_>) -> Result<Server, Failure> {
        let name = settings.project.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let reading = match settings.read {
            Reads::Open => Reading::Open,
            Reads::Token => Reading::Token,
        };
        let behaviour = lem_server::Settings {
            repository: Repository { name: name.unwrap_or_default(), branch: stages.branch.to_owned() },
            token: self.token.text,
            reading,
            hosts: if settings.hosts.is_empty() { Hosts::Addresses } else { Hosts::Listed(settings.hosts.clone()) },
            subscriptions: Some(settings.data.join("webhooks.json")),
        };
        Server::on(self.listener, parts(settings, stages), behaviour).map_err(|error| usage(with_causes(&error)))
    }
}

fn parts(settings: &Settings, stages: &Stages<'_>) -> ServerParts {
    let log: Arc<dyn EventLog> = stages.ledger.clone();
    let mut parts = ServerParts::new(log, stages.clock.clone(), stages.feedback.clone());
    let options = settings.ledger();
    parts.audit = Some(Audit { ledger: stages.ledger.clone(), database: database(&options.url), options });
    parts.metrics = Some(Arc::new(metrics::Stored::new(stages.observe.metric_store())));
    parts.watching = Some(Arc::new(watching::Watched(stages.observe.clone())));
    parts.alerting = Some(Arc::new(alerting::Told(stages.observe.clone())));
    parts.logs = Some(stages.observe.embedded_logs());
    parts.run_logs = Some(Arc::new(runs::Logs(stages.logs.clone())));
    parts.artifacts = Some(Arc::new(runs::Archives::new(&settings.data)));
    parts.dashboards = Some(Arc::new(pages::Imported(stages.observe.clone())));
    parts.reports = Some(Arc::new(pages::Published(settings.data.join("reports"))));
    parts.doctor = Some(Arc::new(pages::Looks(settings.project.root.clone())));
    parts.surroundings = Some(stages.surroundings.clone());
    parts.vault = Some(stages.vault.clone());
    parts
}

/// The database's address without a password.
fn database(url: &str) -> String {
    let (Some((scheme, rest)), Some((_, place))) = (url.split_once("://"), url.rsplit_once('@')) else {
        return url.to_owned();
    };
    let user = rest.split(['@', ':']).next().unwrap_or_default();
    format!("{scheme}://{user}@{place}")
}

fn taken(error: &ServerError) -> Failure {
    let ServerError::Listen { address, source } = error else { return usage(with_causes(error)) };
    if source.kind() == std::io::ErrorKind::AddrInUse {
        return usage(format!(
            "another program listens on {address}; choose another address with --listen, or as server: listen: in lem.yaml"
        ));
    }
    usage(format!("cannot listen on {address}: {source}"))
}

/// File with the address of the running server, in the data directory.
const ADDRESS_FILE: &str = "server.json";

/// Leaves a note for commands that talk to the server.
fn remember(data: &Path, address: SocketAddr) -> Result<(), Failure> {
    let path = data.join(ADDRESS_FILE);
    let text = format!("{{\"url\": \"http://{address}\"}}\n");
    std::fs::write(&path, text).map_err(|e| usage(format!("cannot write {}: {e}", path.display())))
}

/// Where the server of a data directory is, or was last; `listen` when it never ran.
pub(crate) fn address(data: &Path, listen: &str) -> String {
    let text = std::fs::read_to_string(data.join(ADDRESS_FILE)).unwrap_or_default();
    let note: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    note["url"].as_str().map_or_else(|| format!("http://{listen}"), str::to_owned)
}

/// The token of a data directory, which is made when there is none.
pub(crate) fn token_text(data: &Path) -> Result<String, Failure> {
    token(data).map(|token| token.text)
}

/// The token of the environment, or the one in the data directory, which is made when there is none.
fn token(data: &Path) -> Result<Token, Failure> {
    if let Ok(text) = std::env::var(TOKEN_VARIABLE) {
        let text = usable(text.trim(), TOKEN_VARIABLE)?;
        return Ok(Token { text, from: TokenFrom::Variable });
    }
    let path = data.join(TOKEN_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => {
            close_to_others(&path)?;
            usable(text.trim(), &path.display().to_string())?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => fresh(&path)?,
        Err(error) => return Err(usage(format!("cannot read {}: {error}", path.display()))),
    };
    Ok(Token { text, from: TokenFrom::File(path) })
}

/// Characters of a token at least.
const TOKEN_LEAST: usize = 16;

fn usable(text: &str, place: &str) -> Result<String, Failure> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if text.len() < TOKEN_LEAST || !plain {
        let what = format!("the token in {place} must have at least {TOKEN_LEAST} characters, without spaces");
        return Err(usage(what));
    }
    Ok(text.to_owned())
}

/// Whoever has the token may act: only its owner may read the file.
fn close_to_others(path: &Path) -> Result<(), Failure> {
    let failed = |e: std::io::Error| usage(format!("cannot close {} to others: {e}", path.display()));
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(())
}

fn fresh(path: &Path) -> Result<String, Failure> {
    let text = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    write().map_err(|e| usage(format!("cannot write {}: {e}", path.display())))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("sqlite:/x/ledger.db", "sqlite:/x/ledger.db"),
            ("postgres://ann:secret@db.example.com/lem", "postgres://ann@db.example.com/lem"),
            ("postgres://ann:p@ss@db/lem", "postgres://ann@db/lem"),
            ("postgres://db/lem", "postgres://db/lem"),
        ] {
            assert_eq!(database(url), shown);
        }
    }

    #[test]
    fn a_token_is_made_once_and_only_for_its_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(TOKEN_FILE);
        let made = fresh(&path).expect("is made");
        assert_eq!((made.len(), std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777), (64, 0o600));
        assert!(fresh(&path).is_err(), "one that is there is not replaced");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opens");
        close_to_others(&path).expect("closes");
        assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn weak_tokens_are_refused() {
        for (text, fine) in
            [("0123456789abcdef", true), ("0123456789abcde", false), ("0123456789 abcdef", false), ("", false)]
        {
            assert_eq!(usable(text, "here").is_ok(), fine, "{text:?}");
        }
    }
}
