//! The loop, put together: ledger, stages, ports. The only place that knows which stage answers whom.

use crate::command::ledger::failed;
use crate::command::run::pipeline_config;
use crate::exit::{Failure, invalid, usage};
use crate::serve::surroundings::Asked;
use crate::serve::{Door, Stages};
use crate::settings::Settings;
use crate::stages::{Around, Given};
use crate::watch::Watcher;
use lem_engine_yaml::Reader;
use lem_feedback::{Config as FeedbackConfig, FeedbackOptions, FeedbackService, LoopState};
use lem_ledger::verify::{Verdict, verify};
use lem_ledger::{EventLog, Ledger, Recorder, View};
use lem_model::text::with_causes;
use lem_model::{Diagnostic, IncidentId};
use lem_observe::config::Section;
use lem_observe::{ObserveOptions, ObserveService};
use lem_pipeline::{Pipeline, PipelineService};
use lem_source::CONFIG_FILE;
use lem_source::git::Repository;
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the command line says about a loop.
#[derive(Clone, Debug)]
pub(crate) struct LoopOptions {
    pub(crate) directory: PathBuf,
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Option<String>,
}

impl LoopOptions {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), data: None, listen: None }
    }
}

/// A running loop.
pub(crate) struct Loop {
    settings: Settings,
    ledger: Arc<Ledger>,
    feedback: FeedbackService,
    introduction: Vec<String>,
    url: String,
    token: String,
    environments: Vec<lem_provision::Environment>,
    prices: Arc<lem_optimize::Pricer>,
    vault: Arc<lem_engine_vault::Vault>,
    cancel: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
    failure: watch::Receiver<Option<String>>,
    _lock: File,
}

/// What verification found.
pub(crate) struct Verified {
    pub(crate) events: u64,
    pub(crate) intact: bool,
}

/// A stage at work.
pub(crate) type Task = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Loop {
    /// Reads the configuration, opens the ledger, starts every stage.
    pub(crate) async fn start(options: LoopOptions) -> Result<Self, Failure> {
        let settings = Settings::read(&options.directory, options.data.as_deref())?;
        std::fs::create_dir_all(&settings.data)
            .map_err(|e| usage(format!("cannot create {}: {e}", settings.data.display())))?;
        let lock = lock(&settings.data)?;
        let door = Door::open(&settings, options.listen.as_deref()).await?;
        let repository = Repository::discover(&settings.project.root)?;
        let branch = match &settings.project.branch {
            Some(branch) => branch.clone(),
            None => repository
                .branch()?
                .ok_or_else(|| usage("no branch is checked out; name one as branch: in lem.yaml"))?,
        };
        let deploy_config =
            lem_deploy::config::read_section(&settings.project.root, settings.project.section("deploy"))
                .map_err(invalid)?;
        let pipeline_settings = pipeline_config(&settings)?;
        let (section, feedback_config) = sections(&settings)?;

        let ledger = Ledger::open(settings.ledger()).await.map_err(failed)?;
        let log: Arc<dyn EventLog> = ledger.clone();
        let clock: Arc<dyn lem_model::Clock> = Arc::new(lem_ledger::SystemClock);
        let paths = metric_paths(&deploy_config);
        let observe = ObserveService::new(ObserveOptions {
            root: settings.project.root.clone(),
            section,
            data: settings.data.clone(),
            log: log.clone(),
            clock: clock.clone(),
            paths,
            external_url: door.url(),
        })
        .map_err(observing)?;
        let pipeline = Pipeline::open(&settings.project.root, &settings.data.join("pipeline"), pipeline_settings);
        let artifacts = Arc::new(pipeline.artifacts());
        let around = Around::open(
            &settings,
            Given {
                log: log.clone(),
                repository: repository.clone(),
                token: door.token().to_owned(),
                symptoms: observe.answers(),
                metrics: observe.answers(),
            },
        )
        .await?;
        let pipeline = PipelineService::new(pipeline, log.clone()).with_secrets(around.secrets.clone());

        let mut introduction = door.introduction();
        introduction.extend(self::introduction(&settings, &branch, &deploy_config));
        let mut deploy = lem_deploy::Options::new(
            deploy_config,
            log.clone(),
            clock.clone(),
            settings.data.join("deploy"),
            artifacts,
        );
        deploy.branch = Some(branch.clone());
        deploy.logs = Some(observe.sink());
        deploy.metrics = Some(observe.answers());
        deploy.health = Some(observe.answers());
        deploy.gate = Some(around.secure.gate());
        deploy.secrets = Some(around.secrets.clone());
        let deploy = lem_deploy::DeployService::new(deploy).await.map_err(|e| usage(with_causes(&e)))?;
        // What an earlier life left running has been ended by now.
        around.secrets.end_instances().await.map_err(|e| usage(e.to_string()))?;
        observe.watch(deploy.exposition());

        let feedback = FeedbackService::new(FeedbackOptions {
            recorder: Recorder::new(log.clone(), lem_feedback::execute::SOURCE),
            symptoms: observe.answers(),
            config: feedback_config,
            reports: settings.data.join("reports"),
            kill_switch: settings.data.join("stop"),
        });
        let url = door.url();
        let token = door.token().to_owned();
        let provision = crate::stages::provision_config(&settings)?;
        let quiet = crate::stages::environments(&settings, &provision, None, None)?;
        let surroundings = Asked::new(settings.project.root.clone(), log.clone(), &around, quiet);
        let stages = Stages {
            surroundings: Arc::new(surroundings),
            vault: around.vault.clone(),
            ledger: &ledger,
            clock: &clock,
            feedback: feedback.state().clone(),
            observe: &observe,
            logs: pipeline.logs().clone(),
            branch: &branch,
        };
        let server = door.server(&settings, &stages)?;
        let watcher = Watcher { repository, branch, recorder: Recorder::new(log, "/lem/watch") };

        let cancel = CancellationToken::new();
        let (say, failure) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let stop = || cancel.clone();
        let (one, two, three) = (stop(), stop(), stop());
        let (four, five, six) = (stop(), stop(), stop());
        let fed = feedback.clone();
        let (environments, prices, vault) =
            (around.environments.clone(), around.optimize.prices(), around.vault.clone());
        let mut running: Vec<(&'static str, Task)> = vec![
            ("observe", Box::pin(async move { observe.serve(one).await.map_err(|e| with_causes(&e)) })),
            (
                "deploy",
                Box::pin(async move {
                    deploy.serve(two).await;
                    Ok(())
                }),
            ),
            ("pipeline", Box::pin(async move { pipeline.serve(three).await.map_err(|e| with_causes(&e)) })),
            ("feedback", Box::pin(async move { fed.serve(four).await.map_err(|e| with_causes(&e)) })),
            ("watch", Box::pin(async move { watcher.watch(five).await.map_err(|e| e.to_string()) })),
            ("server", Box::pin(async move { server.serve(six).await.map_err(|e| with_causes(&e)) })),
        ];
        running.extend(around.tasks(&cancel));
        for (name, task) in running {
            let say = say.clone();
            tasks.spawn(async move {
                if let Err(why) = task.await {
                    say.send_replace(Some(format!("{name} ended: {why}")));
                }
            });
        }
        Ok(Self {
            settings,
            ledger,
            feedback,
            introduction,
            url,
            token,
            environments,
            prices,
            vault,
            cancel,
            tasks: Mutex::new(tasks),
            failure,
            _lock: lock,
        })
    }

    /// The log.
    pub(crate) fn log(&self) -> Arc<dyn EventLog> {
        self.ledger.clone()
    }

    /// What feedback knows.
    pub(crate) fn feedback(&self) -> View<LoopState> {
        self.feedback.state().clone()
    }

    /// Top of the repository.
    pub(crate) fn root(&self) -> &Path {
        &self.settings.project.root
    }

    /// Where the report of an incident is.
    pub(crate) fn report_path(&self, incident: &IncidentId) -> PathBuf {
        self.settings.data.join("reports").join(format!("{incident}.md"))
    }

    /// Token of everything that writes, and root token of the secret store.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Environments that `lem.yaml` names; what is done with them is recorded.
    pub(crate) fn environments(&self) -> &[lem_provision::Environment] {
        &self.environments
    }

    /// Prices plans.
    pub(crate) fn prices(&self) -> Arc<lem_optimize::Pricer> {
        self.prices.clone()
    }

    /// The secret store.
    pub(crate) fn vault(&self) -> &lem_engine_vault::Vault {
        &self.vault
    }

    /// Where the web UI and the API are.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What runs, in lines for people.
    pub(crate) fn introduction(&self) -> &[String] {
        &self.introduction
    }

    /// Signs the ledger as it stands and verifies it.
    pub(crate) async fn verify(&self) -> anyhow::Result<Verified> {
        self.ledger.checkpoint().await?;
        let events = self.ledger.size().await?;
        let verdict = verify(&self.settings.ledger(), &[]).await?;
        Ok(Verified { events, intact: matches!(verdict, Verdict::Intact { .. }) })
    }

    /// Returns when a stage has ended that should not have.
    pub(crate) async fn failed(&self) -> Failure {
        let mut failure = self.failure.clone();
        let why = match failure.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "every stage ended".to_owned(),
        };
        crate::exit::unreachable(why)
    }

    /// Stops every stage and closes the ledger.
    pub(crate) async fn stop(&self) {
        self.cancel.cancel();
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
        if let Err(error) = self.ledger.close().await {
            eprintln!("lem: the ledger did not close well: {error}; nothing acknowledged is lost");
        }
    }
}

/// Two loops over one data directory would each run everything.
fn lock(data: &Path) -> Result<File, Failure> {
    let path = data.join("lock");
    let file = File::create(&path).map_err(|e| usage(format!("cannot write {}: {e}", path.display())))?;
    file.try_lock().map_err(|_| usage(format!("another lem up runs on {}", data.display())))?;
    Ok(file)
}

fn sections(settings: &Settings) -> Result<(Section, FeedbackConfig), Failure> {
    let reader = Reader::new(CONFIG_FILE);
    let section = settings.project.section("observe").map_or_else(Section::default, |n| Section::read(&reader, n));
    let feedback =
        settings.project.section("feedback").map_or_else(FeedbackConfig::default, |n| FeedbackConfig::read(&reader, n));
    let found = reader.into_diagnostics();
    if found.iter().any(Diagnostic::is_error) { Err(invalid(found)) } else { Ok((section, feedback)) }
}

fn metric_paths(config: &lem_deploy::config::Config) -> std::collections::BTreeMap<lem_model::ServiceName, String> {
    let path = |s: &lem_deploy::config::Service| {
        let metrics = s.environments.iter().find_map(|e| e.process.metrics.clone())?;
        Some((s.name.clone(), metrics))
    };
    config.services.iter().filter_map(path).collect()
}

fn introduction(settings: &Settings, branch: &str, config: &lem_deploy::config::Config) -> Vec<String> {
    let mut lines = vec![format!("watching {branch} of {}", settings.project.root.display())];
    for service in &config.services {
        for environment in &service.environments {
            lines.push(format!("{} in {} on http://{}", service.name, environment.name, environment.listen));
        }
    }
    lines.push(format!("state in {}", settings.data.display()));
    lines
}

fn observing(error: lem_observe::ObserveError) -> Failure {
    match error {
        lem_observe::ObserveError::Config(found) => invalid(found),
        other => usage(with_causes(&other)),
    }
}
