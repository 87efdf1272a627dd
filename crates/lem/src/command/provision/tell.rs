//! How plans and applies are told to people and programs.

use super::review::Review;
use super::site::failed;
use crate::cli::{Cli, Output};
use crate::exit::{Failure, interrupted, negative, unreachable, usage};
use lem_model::resource::{ResourceAction, ResourceGraph};
use lem_provision::apply::{Applied, Progress};
use lem_provision::exec::Planned;
use lem_provision::plan::SealedPlan;
use lem_provision::render::Notes;
use lem_provision::{Environment, ProvisionError, planjson, planread, render};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

/// Prints a plan with what is said about it.
pub(super) fn plan(cli: &Cli, environment: &Environment, sealed: &SealedPlan, review: &Review) -> Result<(), Failure> {
    if cli.output == Output::Text {
        print!("{}", render::annotated(sealed.plan(), &review.notes()));
    } else {
        let loaded = environment.store().load().map_err(failed)?;
        let mut document = planjson::plan(sealed, &loaded.state);
        review.put_into(&mut document);
        println!("{document}");
    }
    for warning in &sealed.plan().warnings {
        eprintln!("{warning}");
    }
    Ok(())
}

/// Prints a plan of an installed program: as text counted and named, as a document with its values.
pub(super) fn planned(cli: &Cli, planned: &Planned, review: &Review) {
    if cli.output == Output::Text {
        print!("{}", planned_text(&planned.graph, &review.notes()));
        return;
    }
    let mut document = planned.document.clone();
    review.put_into(&mut document);
    println!("{document}");
}

fn planned_text(graph: &ResourceGraph, notes: &Notes) -> String {
    let mut out = String::new();
    for resource in &graph.resources {
        let said = notes.resources.get(&resource.address);
        if planread::is_change(resource) || said.is_some() {
            let word = resource.action.map_or("", ResourceAction::word);
            let _ = writeln!(out, "  {word} {} ({})", resource.address, resource.place);
        }
        for line in said.into_iter().flatten() {
            let _ = writeln!(out, "      {line}");
        }
    }
    let counts = planread::counts(graph);
    let (add, gone) = (counts.create + counts.replace, counts.delete + counts.replace);
    let _ = writeln!(out, "Plan: {add} to add, {} to change, {gone} to destroy.", counts.update);
    for line in &notes.end {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// There are changes, where Terraform's exit codes were asked for.
pub(super) fn changes() -> Failure {
    let mut failure = negative("");
    failure.code = 2;
    failure
}

/// Asks whether to go on.
pub(super) fn approved(operation: &str) -> Result<bool, Failure> {
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
pub(super) struct Told;

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

/// Says how an apply ended.
pub(super) fn told(applied: &Applied) -> Result<(), Failure> {
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
