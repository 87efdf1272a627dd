//! `lem plan`, `apply`, `destroy`, `drift`, `docs` and `state`.
//!
//! They work in any directory with Terraform files. Facts are recorded where the repository has a ledger; without one
//! nothing is made only to record them.

use crate::cli::provision::{Apply, Docs, Infrastructure, Plan, State, StateCommand};
use crate::cli::{Cli, Output};
use crate::exit::{Failure, interrupted, invalid, negative, unreachable, usage};
use crate::settings::Settings;
use lem_engine_hcl::config::VariableSource;
use lem_ledger::{Ledger, Recorder, SystemClock};
use lem_model::resource::{ResourceAction, ResourceGraph};
use lem_provision::apply::{Applied, Progress, Settings as ApplySettings};
use lem_provision::config::{Config, EngineKind};
use lem_provision::exec::Exec;
use lem_provision::lock::Holder;
use lem_provision::plan::{Options, SealedPlan};
use lem_provision::project::Given;
use lem_provision::{Environment, ProvisionError, docs, events, planjson, planread, render};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// `lem plan`.
pub(crate) async fn plan(cli: &Cli, arguments: &Plan, directory: &Path) -> Result<(), Failure> {
    let infrastructure = &arguments.infrastructure;
    let environment = environment(directory, infrastructure.environment.as_deref()).await?;
    if foreign(&environment, infrastructure)? {
        let exec = Exec::find(environment.target().clone(), &given(infrastructure)?).map_err(failed)?;
        let planned = exec.plan(arguments.destroy).await.map_err(failed)?;
        return told_graph(cli, &planned.graph, arguments.detailed_exitcode);
    }
    let options = options(infrastructure, arguments.destroy);
    let sealed = environment.plan(&given(infrastructure)?, &options).await.map_err(failed)?;
    show(cli, &environment, &sealed)?;
    if arguments.detailed_exitcode && !sealed.plan().is_empty() {
        return Err(changes());
    }
    Ok(())
}

/// `lem apply` and `lem destroy`.
pub(crate) async fn apply(cli: &Cli, arguments: &Apply, directory: &Path, destroy: bool) -> Result<(), Failure> {
    let infrastructure = &arguments.infrastructure;
    let environment = environment(directory, infrastructure.environment.as_deref()).await?;
    if foreign(&environment, infrastructure)? {
        let exec = Exec::find(environment.target().clone(), &given(infrastructure)?).map_err(failed)?;
        let planned = exec.plan(destroy).await.map_err(failed)?;
        told_graph(cli, &planned.graph, false)?;
        if !arguments.auto_approve && !approved(if destroy { "destroy" } else { "apply" })? {
            return Err(negative("nothing was applied"));
        }
        eprint!("{}", exec.apply(&planned).await.map_err(failed)?);
        return Ok(());
    }
    let operation = if destroy { "destroy" } else { "apply" };
    let waiting = |holder: &Holder| eprintln!("waiting: {holder}");
    let timeout = Duration::from_secs(arguments.lock_timeout);
    let mut session = environment.session(operation, timeout, &waiting).await.map_err(failed)?;
    let options = options(infrastructure, destroy);
    let sealed = environment.plan_in(&session, &given(infrastructure)?, &options).await.map_err(failed)?;
    show(cli, &environment, &sealed)?;
    if sealed.plan().is_empty() && sealed.plan().drift.is_empty() {
        return Ok(());
    }
    if !arguments.auto_approve && !approved(operation)? {
        return Err(negative("nothing was applied"));
    }
    let stop = CancellationToken::new();
    let settings = ApplySettings {
        parallelism: arguments.parallelism.clamp(1, lem_provision::config::PARALLELISM_MAX),
        clock: Arc::new(SystemClock),
        progress: Arc::new(Told),
        stop: stop.clone(),
    };
    let interrupt = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!(
                "stopping: what runs ends first; a second interrupt ends at once, the journal keeps what is done"
            );
            stop.cancel();
            let _second = tokio::signal::ctrl_c().await;
            std::process::exit(130);
        }
    });
    let applied = environment.apply(&sealed, &mut session, &settings).await;
    interrupt.abort();
    told(&applied.map_err(failed)?)
}

/// `lem drift`.
pub(crate) async fn drift(cli: &Cli, arguments: &Infrastructure, directory: &Path) -> Result<(), Failure> {
    let environment = environment(directory, arguments.environment.as_deref()).await?;
    let sealed = environment.drift(&given(arguments)?).await.map_err(failed)?;
    let drift = &sealed.plan().drift;
    match cli.output {
        Output::Text if drift.is_empty() => println!("No drift: what exists is what was applied."),
        Output::Text => {
            for change in drift {
                let what = if change.after.is_some() {
                    change.attributes().join(", ")
                } else {
                    "gone, or no longer what was applied".to_owned()
                };
                println!("{} ({}): {what}", change.address, change.place);
            }
        }
        _ => {
            let loaded = environment.store().load().map_err(failed)?;
            println!("{:#}", planjson::plan(&sealed, &loaded.state)["resource_drift"]);
        }
    }
    if drift.is_empty() { Ok(()) } else { Err(negative(format!("{} object(s) drifted", drift.len()))) }
}

/// `lem docs`.
pub(crate) fn docs(arguments: &Docs, directory: &Path) -> Result<(), Failure> {
    let settings = Settings::read(directory, None)?;
    let directory = std::path::absolute(directory).map_err(|e| usage(e.to_string()))?;
    let folder = arguments.folder.as_ref().map(|f| directory.join(f));
    let config = section(&settings)?;
    let own =
        config.root.as_ref().map(|r| settings.project.root.join(r)).filter(|_| directory == settings.project.root);
    let folder = folder.or(own).unwrap_or_else(|| directory.clone());
    let files = lem_provision::project::RepositoryFiles(folder);
    let (module, found) = lem_engine_hcl::config::load(&files, "");
    if found.iter().any(lem_model::Diagnostic::is_error) {
        return Err(invalid(found));
    }
    let text = docs::markdown(&module).map_err(failed)?;
    let Some(into) = &arguments.into else {
        print!("{text}");
        return Ok(());
    };
    let write = if arguments.check { docs::Write::No } else { docs::Write::Yes };
    let changes = docs::update(&directory.join(into), &text, write).map_err(failed)?;
    if arguments.check && changes {
        return Err(negative(format!("{} is out of date; lem docs --into {0} mends it", into.display())));
    }
    Ok(())
}

/// `lem state`.
pub(crate) async fn state(cli: &Cli, arguments: &State, directory: &Path) -> Result<(), Failure> {
    let environment = environment(directory, arguments.environment.as_deref()).await?;
    let store = environment.store();
    match &arguments.command {
        StateCommand::List => {
            let loaded = store.load().map_err(failed)?;
            match cli.output {
                Output::Text => {
                    for address in loaded.state.objects.keys() {
                        println!("{address}");
                    }
                }
                _ => println!("{:#}", planjson::state(&loaded.state)),
            }
            for (address, operation) in &loaded.pending {
                eprintln!("{address}: {operation} had begun when a run was killed; it may have left traces");
            }
            if let Some(holder) = store.holder() {
                eprintln!("{holder}");
            }
            Ok(())
        }
        StateCommand::Show { address } => {
            let loaded = store.load().map_err(failed)?;
            let object = loaded.state.objects.get(address).ok_or_else(|| no_object(address))?;
            println!("{:#}", planjson::shown_object(object).0);
            Ok(())
        }
        StateCommand::Mv { from, to } => {
            let mut session = environment.session("state mv", Duration::ZERO, &|_| {}).await.map_err(failed)?;
            lem_provision::store::rename(&mut session, from, to).map_err(failed)
        }
        StateCommand::Rm { address } => {
            let mut session = environment.session("state rm", Duration::ZERO, &|_| {}).await.map_err(failed)?;
            if !session.state().objects.contains_key(address) {
                return Err(no_object(address));
            }
            session.edit(|state| drop(state.objects.remove(address))).map_err(failed)
        }
        StateCommand::Unlock { id } => {
            let freed = store.unlock(id).map_err(failed)?;
            if freed { Ok(()) } else { Err(negative(format!("there is no lock {id}"))) }
        }
    }
}

fn no_object(address: &str) -> Failure {
    negative(format!("the state has no {address}"))
}

fn section(settings: &Settings) -> Result<Config, Failure> {
    let (config, found) = Config::read(lem_source::CONFIG_FILE, settings.project.section("provision"));
    if found.iter().any(lem_model::Diagnostic::is_error) { Err(invalid(found)) } else { Ok(config) }
}

/// There are changes, where Terraform's exit codes were asked for.
fn changes() -> Failure {
    let mut failure = negative("");
    failure.code = 2;
    failure
}

/// Whether an installed program plans and applies.
fn foreign(environment: &Environment, arguments: &Infrastructure) -> Result<bool, Failure> {
    match arguments.engine.as_deref() {
        None => Ok(environment.target().engine == EngineKind::Terraform),
        Some("native") => Ok(false),
        Some("terraform") => Ok(true),
        Some(other) => Err(usage(format!("--engine takes native or terraform, not {other}"))),
    }
}

/// A plan of an installed program, counted and named; its values stay in it.
fn told_graph(cli: &Cli, graph: &ResourceGraph, detailed: bool) -> Result<(), Failure> {
    let counts = planread::counts(graph);
    let changed = || {
        graph.resources.iter().filter(|r| !matches!(r.action, None | Some(ResourceAction::NoOp | ResourceAction::Read)))
    };
    if cli.output == Output::Text {
        for resource in changed() {
            println!("  {} {}", resource.action.map_or("", ResourceAction::word), resource.address);
        }
        let (add, gone) = (counts.create + counts.replace, counts.delete + counts.replace);
        println!("Plan: {add} to add, {} to change, {gone} to destroy.", counts.update);
    } else {
        let rows: Vec<serde_json::Value> = changed()
            .map(|r| {
                let attributes: serde_json::Map<_, _> =
                    r.attributes.iter().map(|(k, v)| (k.clone(), v.shown())).collect();
                serde_json::json!({"address": r.address, "type": r.kind, "action": r.action, "attributes": attributes})
            })
            .collect();
        println!("{:#}", serde_json::Value::Array(rows));
    }
    if detailed && changed().next().is_some() { Err(changes()) } else { Ok(()) }
}

async fn environment(directory: &Path, name: Option<&str>) -> Result<Environment, Failure> {
    let settings = Settings::read(directory, None)?;
    let directory = std::path::absolute(directory).map_err(|e| usage(e.to_string()))?;
    let config = section(&settings)?;
    let target = config.target(&settings.project.root, &directory, &settings.data, name).map_err(usage)?;
    let environment = Environment::new(target, Arc::new(SystemClock));
    if settings.require_ledger().is_err() {
        return Ok(environment);
    }
    let ledger = Ledger::open(settings.ledger()).await.map_err(|e| unreachable(format!("ledger: {e}")))?;
    let recorder = Recorder::new(ledger, events::SOURCE);
    let person = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    let sha = lem_source::git::Repository::discover(&directory).ok().and_then(|r| r.resolve("HEAD").ok().flatten());
    Ok(environment.recording(recorder, format!("person:{person}").into(), sha))
}

fn options(arguments: &Infrastructure, destroy: bool) -> Options {
    Options {
        destroy,
        no_refresh: arguments.no_refresh,
        refresh_only: arguments.refresh_only,
        targets: arguments.targets.clone(),
        replace: arguments.replace.clone(),
    }
}

fn given(arguments: &Infrastructure) -> Result<Given, Failure> {
    let mut variables: Vec<VariableSource> =
        arguments.variable_files.iter().cloned().map(VariableSource::File).collect();
    for text in &arguments.variables {
        let (name, value) = text.split_once('=').ok_or_else(|| usage(format!("--var takes NAME=VALUE, not {text}")))?;
        variables.push(VariableSource::Text(name.to_owned(), value.to_owned()));
    }
    Ok(Given::of_process(variables))
}

fn show(cli: &Cli, environment: &Environment, sealed: &SealedPlan) -> Result<(), Failure> {
    match cli.output {
        Output::Text => print!("{}", render::plan(sealed.plan())),
        _ => {
            let loaded = environment.store().load().map_err(failed)?;
            println!("{}", planjson::plan(sealed, &loaded.state));
        }
    }
    for warning in &sealed.plan().warnings {
        eprintln!("{warning}");
    }
    Ok(())
}

fn approved(operation: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(usage(format!("nobody is there to ask; lem {operation} --auto-approve goes on without")));
    }
    eprint!("Go on? Only 'yes' is: ");
    let _flushed = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|e| usage(e.to_string()))?;
    Ok(answer.trim() == "yes")
}

/// Tells an apply on standard error.
struct Told;

impl Progress for Told {
    fn finished(&self, address: &str, action: ResourceAction, error: Option<&str>) {
        match error {
            Some(why) => eprintln!("{address}: {} failed: {why}", action.word()),
            None => eprintln!("{address}: {} done", action.word()),
        }
    }

    fn line(&self, address: &str, line: &str) {
        eprintln!("{address} (local-exec): {line}");
    }
}

fn told(applied: &Applied) -> Result<(), Failure> {
    let counts = &applied.counts;
    eprintln!(
        "Applied: {} added, {} changed, {} destroyed.",
        counts.create + counts.replace,
        counts.update,
        counts.delete + counts.replace
    );
    if applied.lease_lost {
        return Err(unreachable(ProvisionError::LeaseLost.to_string()));
    }
    if applied.stopped {
        return Err(interrupted());
    }
    if !applied.failed.is_empty() {
        return Err(negative(format!("{} failed, {} not started", applied.failed.len(), applied.skipped.len())));
    }
    Ok(())
}

fn failed(error: ProvisionError) -> Failure {
    match error {
        ProvisionError::Files(found) => invalid(found),
        ProvisionError::Denied(_) | ProvisionError::Stale(_) => negative(error.to_string()),
        ProvisionError::Locked(_) | ProvisionError::LeaseLost | ProvisionError::Unreachable { .. } => {
            unreachable(error.to_string())
        }
        other => usage(other.to_string()),
    }
}
