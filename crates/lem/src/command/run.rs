//! `lem run`: the pipelines of this repository, here and now, with the work tree as it is.

use crate::cli::{Cli, Output, Run};
use crate::exit::{Failure, invalid, negative, unreachable, usage};
use crate::settings::Settings;
use indexmap::IndexMap;
use lem_engine_yaml::Reader;
use lem_model::Diagnostic;
use lem_model::fact::Outcome;
use lem_pipeline::config::ExecutorName;
use lem_pipeline::events::PipelineFact;
use lem_pipeline::report::run_report;
use lem_pipeline::service::{Listener, Prepared, Progress};
use lem_pipeline::{Pipeline, PipelineConfig, PipelineError, RunRequest, RunResult, Tree};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs them and reports.
pub(crate) async fn run(cli: &Cli, arguments: &Run, directory: &Path) -> Result<(), Failure> {
    let settings = Settings::read(directory, None)?;
    let mut config = pipeline_config(&settings)?;
    config.jobs = arguments.jobs.or(config.jobs);
    config.executor = match arguments.executor.as_str() {
        "sandbox" => config.executor,
        "host" => ExecutorName::Host,
        other => return Err(usage(format!("executor is sandbox or host, not {other:?}"))),
    };
    let root = settings.project.root.clone();
    let pipeline = Pipeline::open(&root, &settings.data.join("pipeline"), config);
    let request = request(arguments, directory, &root)?;
    let prepared = pipeline.prepare(&request).map_err(failed)?;
    warn(&prepared);
    if arguments.dry_run {
        return plan(cli, &prepared);
    }
    let cancel = CancellationToken::new();
    let interrupted = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("stopping; Ctrl-C again leaves at once");
            interrupted.cancel();
            let _again = tokio::signal::ctrl_c().await;
            std::process::exit(130);
        }
    });
    let result = pipeline.run_prepared(prepared, request.tree, Some(listener(cli.output)), cancel.clone(), None).await;
    let result = result.map_err(failed)?;
    report(cli, &result);
    if cancel.is_cancelled() {
        return Err(crate::exit::interrupted());
    }
    if result.runs.is_empty() {
        return Err(usage("nothing ran: no workflow's trigger matches; name a file or another --event"));
    }
    if result.is_success() { Ok(()) } else { Err(negative("")) }
}

/// The `pipeline:` section.
pub(crate) fn pipeline_config(settings: &Settings) -> Result<PipelineConfig, Failure> {
    let Some(node) = settings.project.section("pipeline") else { return Ok(PipelineConfig::default()) };
    let reader = Reader::new(lem_source::CONFIG_FILE);
    let config = PipelineConfig::read(&reader, node);
    let found = reader.into_diagnostics();
    if found.iter().any(Diagnostic::is_error) { Err(invalid(found)) } else { Ok(config) }
}

fn request(arguments: &Run, directory: &Path, root: &Path) -> Result<RunRequest, Failure> {
    let mut inputs = IndexMap::new();
    for input in &arguments.inputs {
        let (key, value) =
            input.split_once('=').ok_or_else(|| usage(format!("--input {input}: expected KEY=VALUE")))?;
        inputs.insert(key.to_owned(), value.to_owned());
    }
    let mut secrets = IndexMap::new();
    for name in &arguments.secrets {
        let value = std::env::var(name)
            .map_err(|_| usage(format!("--secret {name}: there is no environment variable {name}")))?;
        secrets.insert(name.clone(), value);
    }
    Ok(RunRequest {
        files: arguments.file.iter().map(|f| relative(f, directory, root)).collect(),
        event: arguments.event.clone(),
        inputs,
        job: arguments.job.clone(),
        tree: Tree::Working,
        secrets,
        ..RunRequest::default()
    })
}

/// A path as the repository knows it: people name files from where they stand.
pub(crate) fn relative(file: &Path, directory: &Path, root: &Path) -> String {
    let standing = std::path::absolute(directory.join(file)).unwrap_or_else(|_| file.to_owned());
    let inside = standing.strip_prefix(root).ok().filter(|_| standing.exists());
    inside.unwrap_or(file).to_string_lossy().into_owned()
}

/// Where the pipeline's own errors end.
pub(crate) fn failed(error: PipelineError) -> Failure {
    match error {
        PipelineError::Invalid(diagnostics) => invalid(diagnostics),
        PipelineError::Ledger(_) | PipelineError::Secrets(_) => unreachable(error.to_string()),
        other => {
            let cause = std::error::Error::source(&other).map_or(String::new(), |c| format!(": {c}"));
            usage(format!("{other}{cause}"))
        }
    }
}

fn warn(prepared: &Prepared) {
    for diagnostic in &prepared.diagnostics {
        eprintln!("warning: {diagnostic}");
    }
    for (file, why) in &prepared.passed {
        eprintln!("{file} does not run: {why}");
    }
}

fn plan(cli: &Cli, prepared: &Prepared) -> Result<(), Failure> {
    let jobs = |p: &lem_pipeline::Plan| {
        p.jobs.iter().map(|j| json!({"job": j.job, "name": j.name, "needs": j.needs})).collect::<Vec<_>>()
    };
    let plans: Vec<Value> = prepared.plans.iter().map(|p| json!({"file": p.file, "jobs": jobs(p)})).collect();
    crate::print::document(cli.output, &Value::Array(plans), |_| {
        let one = |p: &lem_pipeline::Plan| {
            format!("{}\n{}", p.file, lem_pipeline::report::graph(&p.jobs, lem_pipeline::report::GraphFormat::Text))
        };
        prepared.plans.iter().map(one).collect::<String>()
    });
    Ok(())
}

/// Lines as jobs say them, with the job in front, so that parallel jobs can be told apart.
fn listener(output: Output) -> Listener {
    Arc::new(move |progress| match (output, progress) {
        (Output::Text | Output::Json, Progress::Line { job, line, .. }) => eprintln!("{job} | {}", line.text),
        (Output::Text | Output::Json, Progress::Fact(fact)) => fact_line(&fact),
        (Output::Ndjson, Progress::Line { run, job, step, line }) => {
            println!("{}", json!({"run": run, "job": job, "step": step, "line": line.text, "timeMs": line.time_ms}));
        }
        _ => {}
    })
}

fn fact_line(fact: &PipelineFact) {
    match fact {
        PipelineFact::JobStarted(f) => eprintln!("{} | started", f.job),
        PipelineFact::JobFinished(f) => {
            eprintln!("{} | {} in {:.1} s", f.job, word(f.conclusion), f.duration_ms as f64 / 1e3);
        }
        PipelineFact::JobSkipped(f) => eprintln!("{} | skipped: {}", f.job, f.why),
        _ => {}
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Cancel => "cancelled",
        Outcome::Error => "error",
    }
}

fn report(cli: &Cli, result: &RunResult) {
    let runs: Vec<Value> = result
        .runs
        .iter()
        .map(|r| {
            let jobs: Vec<Value> = r.view.jobs.values().map(|j| json!({"job": j.key, "outcome": j.outcome, "conclusion": j.conclusion, "whySkipped": j.why_skipped, "seconds": j.duration_ms as f64 / 1e3})).collect();
            let artifacts: Vec<Value> = r.outcome.artifacts.iter().map(|a| json!({"name": a.name, "digest": a.digest, "sizeBytes": a.size_bytes})).collect();
            json!({"run": r.run, "file": r.file, "name": r.name, "outcome": r.outcome.outcome, "errors": r.outcome.errors, "seconds": r.outcome.duration_ms as f64 / 1e3, "jobs": jobs, "artifacts": artifacts})
        })
        .collect();
    crate::print::document(cli.output, &Value::Array(runs), |_| {
        result.runs.iter().map(|r| run_report(&r.view)).collect::<String>()
    });
}
