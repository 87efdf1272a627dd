//! `lem report`: the report of a team, from the ledger and the files.

use super::ledger::failed;
use super::optimize::Desk;
use crate::cli::{Cli, Output, Report, ReportFormat};
use crate::exit::{Failure, usage};
use crate::reports;
use lem_ledger::{EventLog, Ledger};
use lem_model::Team;
use lem_provision::Graphs;
use std::path::Path;
use std::sync::Arc;

/// Makes a report.
pub(crate) async fn report(cli: &Cli, arguments: &Report, directory: &Path) -> Result<(), Failure> {
    let team: Team = arguments.team.parse().map_err(|e: lem_model::report::UnknownTeam| usage(e.to_string()))?;
    let desk = Desk::open(directory)?;
    desk.settings.require_ledger()?;
    let log: Arc<dyn EventLog> = Ledger::open(desk.settings.ledger()).await.map_err(failed)?;
    let events = reports::events(&log).await.map_err(failed)?;
    let costs = match team {
        Team::Finance => reports::attributed(&desk.pricer, &Graphs, &desk.root).await,
        _ => vec![],
    };
    let report = reports::report(team, &events, &costs, &desk.pricer);
    let format = match (arguments.format, cli.output) {
        (Some(format), _) => format,
        (None, Output::Text) => ReportFormat::Md,
        (None, Output::Json | Output::Ndjson) => ReportFormat::Json,
    };
    let text = match format {
        ReportFormat::Md => report.markdown(),
        ReportFormat::Html => report.html(),
        ReportFormat::Csv => report.csv(),
        ReportFormat::Json => report.json(),
    };
    match &arguments.into {
        None => print!("{text}"),
        Some(path) => {
            std::fs::write(path, text).map_err(|e| usage(format!("cannot write {}: {e}", path.display())))?;
            eprintln!("{}", path.display());
        }
    }
    Ok(())
}
