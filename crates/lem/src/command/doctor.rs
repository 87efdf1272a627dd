//! `lem doctor`: what is missing or inactive, and why.

use crate::cli::Cli;
use crate::exit::{Failure, negative};
use crate::print::{document, rows};
use crate::settings::Settings;
use lem_source::{FileKind, detect, git::Repository};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// One finding: ok, off (works without it) or bad.
fn finding(check: &str, state: &str, sentence: impl Into<String>, fix: &str) -> Value {
    json!({"check": check, "state": state, "sentence": sentence.into(), "fix": fix})
}

/// Looks at everything.
pub(crate) fn look(directory: &Path) -> Vec<Value> {
    let mut found = vec![repository(directory)];
    match Settings::read(directory, None) {
        Ok(settings) => {
            found.push(configuration(&settings));
            found.extend(files(&settings));
            found.push(ledger(&settings));
        }
        Err(failure) => {
            let places: Vec<String> = failure.diagnostics.iter().map(ToString::to_string).collect();
            found.push(finding(
                "lem.yaml",
                "bad",
                format!("{failure}: {}", places.join("; ")),
                "mend the places named",
            ));
        }
    }
    found.push(isolation());
    found.push(program("git", "git", "the loop follows commits with it; install git"));
    found.push(program("node", "node", "only the example service and the build of the UI need it"));
    found
}

/// Looks at everything and prints it; exit code 1 when something is bad.
pub(crate) fn doctor(cli: &Cli, directory: &Path) -> Result<(), Failure> {
    let found = look(directory);
    let bad = found.iter().any(|f| f["state"] == "bad");
    document(cli.output, &Value::Array(found), |v| {
        rows(v, &["CHECK", "STATE", "WHAT", "WHAT TO DO"], &["check", "state", "sentence", "fix"])
    });
    if bad { Err(negative("")) } else { Ok(()) }
}

fn repository(directory: &Path) -> Value {
    match Repository::discover(directory) {
        Ok(found) => {
            let branch = found.branch().ok().flatten();
            let sentence = branch.map_or_else(|| "a detached head".to_owned(), |b| format!("on branch {b}"));
            finding("repository", "ok", format!("{}, {sentence}", found.root().display()), "")
        }
        Err(error) => finding("repository", "bad", error.to_string(), "run git init, or go to your repository"),
    }
}

fn configuration(settings: &Settings) -> Value {
    match &settings.project.file {
        Some(file) => finding("lem.yaml", "ok", format!("{file} reads well"), ""),
        None => finding("lem.yaml", "off", "there is none; every stage uses its defaults", "lem init writes one"),
    }
}

/// Files of stages that this version does not have yet, and files nothing points to.
fn files(settings: &Settings) -> Vec<Value> {
    let (files, _) = detect(&settings.project.root);
    let of = |kind: FileKind| files.iter().filter(|f| f.kind == kind).count();
    let mut found = vec![];
    for (kind, section) in
        [(FileKind::Rollout, "deploy"), (FileKind::Rules, "observe"), (FileKind::Alertmanager, "observe")]
    {
        let inactive = of(kind) > 0 && settings.project.section(section).is_none();
        if inactive {
            let sentence = format!("{} file(s) are there, but lem.yaml has no {section} section", of(kind));
            found.push(finding(kind.name(), "off", sentence, "lem init --print shows one to copy from"));
        }
    }
    let later = [FileKind::GitlabCi, FileKind::Jenkinsfile];
    for kind in later.into_iter().filter(|k| of(*k) > 0) {
        found.push(finding(
            kind.name(),
            "off",
            format!("{} file(s) are there; this version does not read them", of(kind)),
            "a later release does",
        ));
    }
    found
}

fn ledger(settings: &Settings) -> Value {
    let options = settings.ledger();
    if options.url.starts_with("postgres") {
        return finding("ledger", "ok", "kept in PostgreSQL", "");
    }
    match settings.require_ledger() {
        Ok(()) => finding("ledger", "ok", format!("{} exists", settings.data.join("ledger.db").display()), ""),
        Err(_) => finding("ledger", "off", "there is none yet", "lem up starts one"),
    }
}

/// Whether jobs can have namespaces of their own.
fn isolation() -> Value {
    let probe =
        Command::new("unshare").args(["--user", "--mount", "--pid", "--map-root-user", "--fork", "true"]).output();
    match probe {
        Ok(output) if output.status.success() => finding("isolation", "ok", "jobs run in namespaces of their own", ""),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            finding(
                "isolation",
                "off",
                format!("user namespaces are not allowed: {why}"),
                "jobs run less isolated; allow unprivileged user namespaces",
            )
        }
        Err(_) => finding("isolation", "off", "cannot be probed: unshare is not installed", "install util-linux"),
    }
}

fn program(name: &str, command: &str, need: &str) -> Value {
    match Command::new(command).arg("--version").output() {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
            finding(name, "ok", version, "")
        }
        Err(_) => finding(name, if name == "git" { "bad" } else { "off" }, "is not installed", need),
    }
}
