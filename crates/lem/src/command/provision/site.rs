//! Where a command works: the environment, who asks, and the ledger that hears of it.

use crate::cli::provision::Infrastructure;
use crate::exit::{Failure, invalid, negative, unreachable, usage};
use crate::settings::Settings;
use lem_engine_hcl::config::VariableSource;
use lem_ledger::{EventLog, Ledger, Recorder, SystemClock};
use lem_model::{Actor, CommitSha};
use lem_provision::config::{Config, EngineKind};
use lem_provision::plan::Options;
use lem_provision::project::Given;
use lem_provision::{Environment, ProvisionError, events};
use std::path::Path;
use std::sync::Arc;

/// Whether facts must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Where the repository has a ledger; none is made for them.
    WhereThereIsALedger,
    /// In a ledger that begins where there is none.
    Always,
}

/// An environment, who works on it, and where that is recorded.
pub(super) struct Site {
    pub(super) environment: Environment,
    pub(super) by: Actor,
    pub(super) sha: Option<CommitSha>,
    /// Where facts go; `None` where the repository has no ledger.
    log: Option<Arc<dyn EventLog>>,
}

impl Site {
    /// Finds the environment, and the ledger.
    pub(super) async fn open(directory: &Path, name: Option<&str>, record: Record) -> Result<Self, Failure> {
        let settings = Settings::read(directory, None)?;
        let directory = std::path::absolute(directory).map_err(|e| usage(e.to_string()))?;
        let config = section(&settings)?;
        let target = config.target(&settings.project.root, &directory, &settings.data, name).map_err(usage)?;
        let mut environment = Environment::new(target, Arc::new(SystemClock));
        let by = Actor::from(format!("person:{}", std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned())));
        let repository = lem_source::git::Repository::discover(&directory).ok();
        let sha = repository.and_then(|r| r.resolve("HEAD").ok().flatten());
        let kept = record == Record::Always || settings.require_ledger().is_ok();
        let log = if kept { Some(ledger(&settings).await?) } else { None };
        if let Some(log) = &log {
            environment = environment.recording(Recorder::new(log.clone(), events::SOURCE), by.clone(), sha.clone());
        }
        Ok(Self { environment, by, sha, log })
    }

    /// Where facts of another stage go, if anywhere.
    pub(super) fn recorder(&self, source: &str) -> Option<Recorder> {
        self.log.clone().map(|log| Recorder::new(log, source))
    }

    /// Whether an installed program plans and applies.
    pub(super) fn is_foreign(&self, arguments: &Infrastructure) -> Result<bool, Failure> {
        match arguments.engine.as_deref() {
            None => Ok(self.environment.target().engine == EngineKind::Terraform),
            Some("native") => Ok(false),
            Some("terraform") => Ok(true),
            Some(other) => Err(usage(format!("--engine takes native or terraform, not {other}"))),
        }
    }
}

async fn ledger(settings: &Settings) -> Result<Arc<dyn EventLog>, Failure> {
    let opened = Ledger::open(settings.ledger()).await;
    Ok(opened.map_err(|e| unreachable(format!("ledger: {e}")))?)
}

pub(super) fn section(settings: &Settings) -> Result<Config, Failure> {
    let (config, found) = Config::read(lem_source::CONFIG_FILE, settings.project.section("provision"));
    if found.iter().any(lem_model::Diagnostic::is_error) { Err(invalid(found)) } else { Ok(config) }
}

pub(super) fn options(arguments: &Infrastructure, destroy: bool) -> Options {
    Options {
        destroy,
        no_refresh: arguments.no_refresh,
        refresh_only: arguments.refresh_only,
        targets: arguments.targets.clone(),
        replace: arguments.replace.clone(),
    }
}

pub(super) fn given(arguments: &Infrastructure) -> Result<Given, Failure> {
    let mut variables: Vec<VariableSource> =
        arguments.variable_files.iter().cloned().map(VariableSource::File).collect();
    for text in &arguments.variables {
        let (name, value) = text.split_once('=').ok_or_else(|| usage(format!("--var takes NAME=VALUE, not {text}")))?;
        variables.push(VariableSource::Text(name.to_owned(), value.to_owned()));
    }
    Ok(Given::of_process(variables))
}

pub(super) fn failed(error: ProvisionError) -> Failure {
    match error {
        ProvisionError::Files(found) => invalid(found),
        ProvisionError::Denied(_) | ProvisionError::Stale(_) => negative(error.to_string()),
        ProvisionError::Locked(_) | ProvisionError::LeaseLost | ProvisionError::Unreachable { .. } => {
            unreachable(error.to_string())
        }
        other => usage(other.to_string()),
    }
}
