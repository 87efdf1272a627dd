//! The stages around the delivery path, put together: provision, secure, optimize and the secret store.
//!
//! Each reads its section of `lem.yaml`; without one it works on what it finds, and says on its page what it did not.

use crate::command::ledger::failed;
use crate::command::secure::{database, policy};
use crate::exit::{Failure, invalid, usage};
use crate::secrets::{self, Ear, Secrets};
use crate::settings::Settings;
use crate::wiring::Task;
use lem_engine_vault::Vault;
use lem_engine_yaml::Reader;
use lem_ledger::{EventLog, PrivateKey, Recorder, SystemClock};
use lem_model::port::{MetricQuery, PriceSource, ResourceGraphs, SymptomSource};
use lem_model::{Actor, CommitSha, Diagnostic};
use lem_optimize::{OptimizeOptions, OptimizeService};
use lem_provision::config::Config as ProvisionConfig;
use lem_provision::{Environment, Graphs, ProvisionService};
use lem_secure::{SecureOptions, SecureService};
use lem_source::CONFIG_FILE;
use lem_source::git::Repository;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Source of what the secret store tells the ledger.
const VAULT_SOURCE: &str = "/lem/vault";

/// What the stages of the delivery path answer.
pub(crate) struct Given {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) repository: Repository,
    pub(crate) token: String,
    pub(crate) symptoms: Arc<dyn SymptomSource>,
    pub(crate) metrics: Arc<dyn MetricQuery>,
}

/// The stages, ready to serve.
pub(crate) struct Around {
    pub(crate) environments: Vec<Environment>,
    pub(crate) secure: SecureService,
    pub(crate) optimize: OptimizeService,
    pub(crate) vault: Arc<Vault>,
    pub(crate) secrets: Arc<Secrets>,
    ear: Ear,
    log: Arc<dyn EventLog>,
    from: u64,
}

/// The section of the provision stage.
pub(crate) fn provision_config(settings: &Settings) -> Result<ProvisionConfig, Failure> {
    let (config, found) = ProvisionConfig::read(CONFIG_FILE, settings.project.section("provision"));
    if found.iter().any(Diagnostic::is_error) { Err(invalid(found)) } else { Ok(config) }
}

/// The section of the optimize stage.
pub(crate) fn optimize_config(settings: &Settings) -> Result<lem_optimize::Config, Failure> {
    let reader = Reader::new(CONFIG_FILE);
    let section = settings.project.section("optimize");
    let config = section.map_or_else(lem_optimize::Config::default, |n| lem_optimize::Config::read(&reader, n));
    let found = reader.into_diagnostics();
    if found.iter().any(Diagnostic::is_error) { Err(invalid(found)) } else { Ok(config) }
}

/// Environments that `lem.yaml` names; none when it has no section, because nobody said that they are to be served.
pub(crate) fn environments(
    settings: &Settings,
    config: &ProvisionConfig,
    prices: Option<Arc<dyn PriceSource>>,
    record: Option<(Recorder, Actor, Option<CommitSha>)>,
) -> Result<Vec<Environment>, Failure> {
    let root = &settings.project.root;
    let ready = |name: &str| {
        let target = config.target(root, root, &settings.data, Some(name)).map_err(usage)?;
        let mut environment = Environment::new(target, Arc::new(SystemClock));
        if let Some(prices) = prices.clone() {
            environment = environment.priced(prices);
        }
        if let Some((recorder, by, sha)) = record.clone() {
            environment = environment.recording(recorder, by, sha);
        }
        Ok(environment)
    };
    config.environments.iter().map(|e| ready(e.name.as_str())).collect()
}

impl Around {
    /// Reads the sections and opens what the stages stand on.
    pub(crate) async fn open(settings: &Settings, given: Given) -> Result<Self, Failure> {
        let Given { log, repository, token, symptoms, metrics } = given;
        let graphs: Arc<dyn ResourceGraphs> = Arc::new(Graphs);
        let recorder = |source: &str| Recorder::new(log.clone(), source);

        let optimize = OptimizeService::new(OptimizeOptions {
            recorder: recorder(lem_optimize::execute::SOURCE),
            config: optimize_config(settings)?,
            root: settings.project.root.clone(),
            data: settings.data.clone(),
            graphs: graphs.clone(),
            symptoms: Some(symptoms),
            metrics: Some(metrics),
        });
        let by = Actor::from(lem_provision::events::ENGINE);
        let record = (recorder(lem_provision::events::SOURCE), by, None);
        let prices: Arc<dyn PriceSource> = optimize.prices();
        let environments = environments(settings, &provision_config(settings)?, Some(prices), Some(record))?;

        let (policy, found) = policy(&settings.project.root)?;
        if found.iter().any(Diagnostic::is_error) {
            return Err(invalid(found));
        }
        let options = settings.ledger();
        let key = PrivateKey::load(&options.key_path(), options.origin.as_deref()).map_err(failed)?;
        let secure = SecureService::new(SecureOptions {
            recorder: recorder(lem_secure::service::SOURCE),
            repository,
            graphs: Some(graphs),
            database: database()?,
            policy,
            key: Arc::new(key),
            data: settings.data.join("attestations"),
        });

        let ear = Ear::new();
        let vault = secrets::open(&settings.data, &token, Some(ear.listener()))
            .map_err(|error| usage(format!("the secret store does not open: {error}")))?;
        let vault = Arc::new(vault);
        let secrets = Arc::new(Secrets::new(vault.clone(), recorder(VAULT_SOURCE)));
        let from = log.size().await.map_err(failed)?;
        Ok(Self { environments, secure, optimize, vault, secrets, ear, log, from })
    }

    /// What runs, by name.
    pub(crate) fn tasks(self, cancel: &CancellationToken) -> Vec<(&'static str, Task)> {
        let Self { environments, secure, optimize, vault, secrets, ear, log, from } = self;
        let (one, two, three, four) = (cancel.clone(), cancel.clone(), cancel.clone(), cancel.clone());
        let five = cancel.clone();
        let recorder = Recorder::new(log.clone(), VAULT_SOURCE);
        vec![
            (
                "provision",
                Box::pin(async move {
                    ProvisionService::new(environments, log, from).serve(one).await;
                    Ok(())
                }),
            ),
            ("secure", Box::pin(async move { secure.serve(two).await.map_err(|e| e.to_string()) })),
            ("optimize", Box::pin(async move { optimize.serve(three).await.map_err(|e| e.to_string()) })),
            (
                "leases",
                Box::pin(async move {
                    secrets.extend(five).await;
                    Ok(())
                }),
            ),
            (
                "secret store",
                Box::pin(async move {
                    tokio::select! {
                        () = four.cancelled() => {}
                        told = ear.serve(recorder) => told.map_err(|e| e.to_string())?,
                    }
                    drop(vault);
                    Ok(())
                }),
            ),
        ]
    }
}
