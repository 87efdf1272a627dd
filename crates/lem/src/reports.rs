//! The reports of the six teams, each from the stage that knows, as of now.

use crate::command::optimize::owners_of;
use lem_feedback::LoopState;
use lem_ledger::{EventLog, Filter, LedgerError, MAX_READ, Projection};
use lem_model::port::ResourceGraphs;
use lem_model::{Event, Section, Team, TeamReport};
use lem_optimize::plan::ownership::{Attributed, attribute};
use lem_optimize::{OptimizeState, Pricer};
use lem_secure::SecureState;
use std::path::Path;
use std::sync::Arc;

/// The whole ledger, oldest first.
pub(crate) async fn events(log: &Arc<dyn EventLog>) -> Result<Vec<Event>, LedgerError> {
    let mut events: Vec<Event> = vec![];
    loop {
        let next = events.last().map_or(0, |e| e.seq + 1);
        let page = log.read(next, &Filter::all(), MAX_READ).await?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

fn fold<P: Projection + Default>(events: &[Event]) -> P {
    let mut state = P::default();
    for event in events {
        state.apply(event);
    }
    state
}

/// Everything the files describe that is billed, with whom it belongs to.
pub(crate) async fn attributed(pricer: &Pricer, graphs: &dyn ResourceGraphs, root: &Path) -> Vec<Attributed> {
    let owners = owners_of(root);
    // What does not read stands in the graphs' diagnostics, which the provision page and `lem cost` show.
    let graphs = graphs.graphs(root).await.unwrap_or_default();
    let priced = graphs.iter().map(|graph| (graph, pricer.price(graph).0));
    priced.flat_map(|(graph, estimate)| attribute(graph, &estimate, &owners, &pricer.config)).collect()
}

/// The report of a team from the whole ledger.
pub(crate) fn report(team: Team, events: &[Event], costs: &[Attributed], pricer: &Pricer) -> TeamReport {
    let now = pricer.clock.now();
    match team {
        Team::Security => lem_secure::report::security_report(&fold::<SecureState>(events), now),
        Team::Finance => lem_optimize::report::finance(&fold::<OptimizeState>(events), costs, &pricer.config, now),
        Team::Engineering | Team::Qa | Team::Product | Team::Support => {
            let state: LoopState = fold(events);
            let report = lem_feedback::report::team(team, &state, events, now)
                .unwrap_or_else(|| TeamReport::new(team, team.name(), now));
            match team {
                Team::Engineering => with_outer_stages(report, events),
                _ => report,
            }
        }
    }
}

/// Engineering also hears where its pipelines lose time and what of its own it should mend first.
fn with_outer_stages(report: TeamReport, events: &[Event]) -> TeamReport {
    let optimize: OptimizeState = fold(events);
    let secure: SecureState = fold(events);
    report.with(lem_optimize::report::pipelines(&optimize)).with(fix_order(&secure))
}

fn fix_order(secure: &SecureState) -> Section {
    let mut section = Section::new("What to mend first", &["Severity", "Rule", "Subject", "Place", "Fix", "Owner"]);
    let Some(scan) = secure.latest_scan() else {
        return section.noted("nothing was scanned yet; lem scan looks without a loop");
    };
    for finding in scan.fact.findings.iter().filter(|f| f.is_open()) {
        let cells = [
            finding.severity.word().to_owned(),
            finding.rule.clone(),
            lem_secure::report::subject(finding),
            finding.place.to_string(),
            finding.fix.clone().unwrap_or_default(),
            finding.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
        ];
        section.row(cells, Some(scan.event));
    }
    section
}
