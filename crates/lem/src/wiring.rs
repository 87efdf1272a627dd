//! The loop, put together: ledger, stages, ports, server. The only place that knows which stage answers whom.

use crate::client::ServerFile;
use crate::command::ledger::failed;
use crate::command::run::pipeline_config;
use crate::exit::{Failure, invalid, usage};
use crate::settings::Settings;
use crate::watch::Watcher;
use lem_engine_yaml::Reader;
use lem_feedback::{Config as FeedbackConfig, FeedbackOptions, FeedbackService, LoopState};
use lem_ledger::verify::{Verdict, verify};
use lem_ledger::{EventLog, Ledger, Recorder, View};
use lem_model::{Diagnostic, IncidentId};
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
    pub(crate) listen: Option<String>,
    pub(crate) data: Option<PathBuf>,
}

impl LoopOptions {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), listen: None, data: None }
    }
}

/// A running loop.
pub(crate) struct Loop {
    settings: Settings,
    ledger: Arc<Ledger>,
    feedback: FeedbackService,
    server: ServerFile,
    introduction: Vec<String>,
    cancel: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
    failure: watch::Receiver<Option<String>>,
    _lock: File,
}
