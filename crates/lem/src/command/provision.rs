//! `lem plan`, `apply`, `destroy`, `drift`, `docs` and `state`.
//!
//! They work in any directory with Terraform files. Facts are recorded where the repository has a ledger; without one
//! nothing is made only to record them, but for an override of a gate, which is always on record.

mod gates;
mod review;
mod site;
mod tell;

use crate::cli::provision::{Apply, Docs, Infrastructure, Plan, State, StateCommand};
use crate::cli::{Cli, Output};
use crate::exit::{Failure, invalid, negative, usage};
use crate::settings::Settings;
use lem_ledger::SystemClock;

use lem_provision::apply::Settings as ApplySettings;
use lem_provision::config::PARALLELISM_MAX;
use lem_provision::exec::Exec;
use lem_provision::lock::Holder;
use lem_provision::{ProvisionError, docs, graph_of, planjson, planread};
use review::Review;
use site::{Record, Site, failed, given, options, section};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tell::{Told, approved, changes, told};
use tokio_util::sync::CancellationToken;

/// `lem plan`.
pub(crate) async fn plan(cli: &Cli, arguments: &Plan, directory: &Path) -> Result<(), Failure> {
    let infrastructure = &arguments.infrastructure;
    let site = Site::open(directory, infrastructure.environment.as_deref(), Record::WhereThereIsALedger).await?;
    let (given, options) = (given(infrastructure)?, options(infrastructure, arguments.destroy));
    let changed = if site.is_foreign(infrastructure)? {
        let exec = Exec::find(site.environment.target().clone(), &given).map_err(failed)?;
        let planned = site.environment.plan_with(&exec, &options).await.map_err(failed)?;
        tell::planned(cli, &planned, &Review::of(directory, &planned.graph)?);
        planned.graph.resources.iter().any(planread::is_change)
    } else {
        let sealed = site.environment.plan(&given, &options).await.map_err(failed)?;
        tell::plan(cli, &site.environment, &sealed, &Review::of(directory, &graph_of(&sealed))?)?;
        !sealed.plan().is_empty()
    };
    if arguments.detailed_exitcode && changed { Err(changes()) } else { Ok(()) }
}

/// `lem apply` and `lem destroy`.
pub(crate) async fn apply(cli: &Cli, arguments: &Apply, directory: &Path, destroy: bool) -> Result<(), Failure> {
    let infrastructure = &arguments.infrastructure;
    // Who goes past a gate is on record, whatever else is.
    let overridden = arguments.override_policy.is_some() || arguments.override_budget.is_some();
    let record = if overridden { Record::Always } else { Record::WhereThereIsALedger };
    let site = Site::open(directory, infrastructure.environment.as_deref(), record).await?;
    let operation = if destroy { "destroy" } else { "apply" };
    let (given, options) = (given(infrastructure)?, options(infrastructure, destroy));
    let parallelism = arguments.parallelism.clamp(1, PARALLELISM_MAX);
    if site.is_foreign(infrastructure)? {
        let exec = Exec::find(site.environment.target().clone(), &given).map_err(failed)?;
        let planned = site.environment.plan_with(&exec, &options).await.map_err(failed)?;
        let review = Review::of(directory, &planned.graph)?;
        tell::planned(cli, &planned, &review);
        gates::pass(&site, arguments, &review, &planned.digest).await?;
        if !arguments.auto_approve && !approved(operation)? {
            return Err(negative("nothing was applied"));
        }
        let said = site.environment.apply_with(&exec, &planned, parallelism).await;
        eprint!(
            "{}",
            said.map_err(|error| match error {
                // The plan was made, so this is what came of it and no mistake in how it was asked for.
                ProvisionError::Program { .. } => negative(error.to_string()),
                other => failed(other),
            })?
        );
        return Ok(());
    }
    let waiting = |holder: &Holder| eprintln!("waiting: {holder}");
    let timeout = Duration::from_secs(arguments.lock_timeout);
    let mut session = site.environment.session(operation, timeout, &waiting).await.map_err(failed)?;
    let sealed = site.environment.plan_in(&session, &given, &options).await.map_err(failed)?;
    let review = Review::of(directory, &graph_of(&sealed))?;
    tell::plan(cli, &site.environment, &sealed, &review)?;
    if sealed.plan().is_empty() && sealed.plan().drift.is_empty() {
        return Ok(());
    }
    gates::pass(&site, arguments, &review, sealed.digest()).await?;
    if !arguments.auto_approve && !approved(operation)? {
        return Err(negative("nothing was applied"));
    }
    let stop = CancellationToken::new();
    let settings =
        ApplySettings { parallelism, clock: Arc::new(SystemClock), progress: Arc::new(Told), stop: stop.clone() };
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
    let applied = site.environment.apply(&sealed, &mut session, &settings).await;
    interrupt.abort();
    told(&applied.map_err(failed)?)
}

/// `lem drift`.
pub(crate) async fn drift(cli: &Cli, arguments: &Infrastructure, directory: &Path) -> Result<(), Failure> {
    let environment =
        Site::open(directory, arguments.environment.as_deref(), Record::WhereThereIsALedger).await?.environment;
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
        _ => println!("{:#}", planjson::drift(sealed.plan())),
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
    let environment =
        Site::open(directory, arguments.environment.as_deref(), Record::WhereThereIsALedger).await?.environment;
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
