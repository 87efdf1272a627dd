//! `lem ledger`: works on the store itself, with or without a running server.

use crate::cli::{Cli, Ledger as Arguments, Output};
use crate::exit::{Failure, negative, unreachable, usage};
use crate::print::{document, table};
use crate::settings::Settings;
use lem_feedback::report::sentence;
use lem_ledger::verify::{Verdict, verify};
use lem_ledger::{EventLog, Filter, Ledger, LedgerError, MAX_READ};
use lem_model::Event;
use lem_model::text::with_causes;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Runs one of the ledger's commands.
pub(crate) async fn ledger(cli: &Cli, arguments: &Arguments, directory: &Path) -> Result<(), Failure> {
    match arguments {
        Arguments::List { from, types, subject, chain, limit } => {
            let filter =
                Filter { types: types.clone(), subject: subject.clone(), chain: chain.clone(), ..Filter::all() };
            let ledger = open(directory).await?;
            let events = ledger.read(*from, &filter, (*limit).min(MAX_READ)).await.map_err(failed)?;
            print_events(cli.output, &events);
            Ok(())
        }
        Arguments::Show { seq, proof } => {
            let ledger = open(directory).await?;
            show(cli, &ledger, *seq, *proof).await
        }
        Arguments::Verify { package: Some(package) } => verify_package(cli, package),
        Arguments::Verify { package: None } => verify_store(cli, directory).await,
        Arguments::Checkpoint => {
            let checkpoint = open(directory).await?.checkpoint().await.map_err(failed)?;
            print!("{}", checkpoint.note);
            Ok(())
        }
        Arguments::Export { file, chain } => export(directory, file, chain.clone()).await,
    }
}

async fn open(directory: &Path) -> Result<Arc<Ledger>, Failure> {
    let settings = Settings::read(directory, None)?;
    settings.require_ledger()?;
    Ledger::open(settings.ledger()).await.map_err(failed)
}

/// Where the ledger's own errors end: files and formats are the user's, the database is an outside system.
pub(crate) fn failed(error: LedgerError) -> Failure {
    let text = with_causes(&error);
    match error {
        LedgerError::Gone { .. } => unreachable(text),
        _ => usage(text),
    }
}

fn print_events(output: Output, events: &[Event]) {
    let list = json!(events);
    document(output, &list, |_| {
        let row =
            |e: &Event| vec![e.seq.to_string(), e.time_occurred.to_string(), e.kind.short().to_owned(), sentence(e)];
        table(&["EVENT", "TIME", "TYPE", "WHAT"], &events.iter().map(row).collect::<Vec<_>>())
    });
}

async fn show(cli: &Cli, ledger: &Ledger, seq: u64, proof: bool) -> Result<(), Failure> {
    let found = ledger.read(seq, &Filter::all(), 1).await.map_err(failed)?;
    let event = found.into_iter().find(|e| e.seq == seq);
    let size = ledger.size().await.map_err(failed)?;
    let event = event.ok_or_else(|| usage(format!("there is no event {seq}; the ledger has {size}")))?;
    let mut shown = json!(event);
    if proof {
        let file = ledger.proof_file(seq).await.map_err(failed)?;
        shown["proof"] = Value::String(file.to_string());
        shown["leaf"] = Value::String(ledger.leaf(seq).await.map_err(failed)?);
    }
    document(cli.output, &shown, |v| {
        let head = format!("event {seq}  {}  {}\n{}\n\n", event.time_occurred, event.kind, sentence(&event));
        let tail = v.get("proof").and_then(Value::as_str).map_or(String::new(), |p| format!("\n{p}"));
        format!("{head}{:#}\n{tail}", event.payload)
    });
    Ok(())
}

async fn verify_store(cli: &Cli, directory: &Path) -> Result<(), Failure> {
    let settings = Settings::read(directory, None)?;
    settings.require_ledger()?;
    let started = std::time::Instant::now();
    let verdict = verify(&settings.ledger(), &[]).await.map_err(failed)?;
    let took = started.elapsed().as_secs_f64();
    match verdict {
        Verdict::Intact { size, root, checkpoints } => {
            let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown =
                json!({"verified": true, "events": size, "root": root, "checkpoints": checkpoints, "seconds": took});
            document(cli.output, &shown, |_| {
                format!("{size} events verified in {took:.2} s, {checkpoints} checkpoints agree, root {root}\n")
            });
            Ok(())
        }
        Verdict::Tampered { first_bad, why } => {
            let shown = json!({"verified": false, "firstBad": first_bad, "why": why});
            document(cli.output, &shown, |_| format!("the ledger was changed: first bad event {first_bad}: {why}\n"));
            Err(negative(""))
        }
        Verdict::Unreadable { from, to, why } => {
            let shown = json!({"verified": false, "unreadableFrom": from, "unreadableTo": to, "why": why});
            document(cli.output, &shown, |_| {
                format!(
                    "events {from} to {} cannot be read: {why}\nrestore the file from a backup; an export of these events still verifies\n",
                    to.saturating_sub(1).max(from)
                )
            });
            Err(if from == to { usage("") } else { negative("") })
        }
    }
}

fn verify_package(cli: &Cli, package: &Path) -> Result<(), Failure> {
    let file = std::fs::File::open(package).map_err(|e| usage(format!("cannot read {}: {e}", package.display())))?;
    let found = lem_ledger::audit::verify_export(file)
        .map_err(|e| negative(format!("{} does not verify: {}", package.display(), failed(e))))?;
    let shown = json!({"verified": true, "events": found.events.len(), "size": found.checkpoint.size, "key": found.key.to_string()});
    document(cli.output, &shown, |_| {
        format!(
            "{} events verified against a ledger of {}; signed by {}\ncompare the key with the one its owner published\n",
            found.events.len(),
            found.checkpoint.size,
            found.key
        )
    });
    Ok(())
}

async fn export(directory: &Path, file: &Path, chain: Option<String>) -> Result<(), Failure> {
    let ledger = open(directory).await?;
    let filter = Filter { chain, ..Filter::all() };
    let out = std::fs::File::create(file).map_err(|e| usage(format!("cannot write {}: {e}", file.display())))?;
    let package = lem_ledger::audit::export(&ledger, &filter, std::io::BufWriter::new(out)).await.map_err(failed)?;
    eprintln!(
        "{} events in {}; lem ledger verify --package checks it on any machine",
        package.events.len(),
        file.display()
    );
    Ok(())
}
