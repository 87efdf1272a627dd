//! Commands that read the ledger or append a request to it. A running `lem up` hears the request; one that starts later
//! finds it.

use super::ledger::failed;
use crate::cli::{Cli, Command, RolloutRequest, Target};
use crate::exit::{Failure, negative, usage};
use crate::print::{document, table};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use lem_deploy::RolloutsView;
use lem_feedback::plan::dora::{Dora, dora};
use lem_feedback::state::Standing;
use lem_feedback::{LoopState, report};
use lem_ledger::{EventLog, Filter, Ledger, MAX_READ, Recorder};
use lem_model::fact::*;
use lem_model::port::Window;
use lem_model::{Actor, DeploymentId, Event, Fact, IncidentId};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// What the ledger says.
struct Known {
    recorder: Recorder,
    events: Vec<Event>,
    state: LoopState,
    rollouts: RolloutsView,
}

impl Known {
    async fn read(directory: &Path) -> Result<Self, Failure> {
        let settings = Settings::read(directory, None)?;
        settings.require_ledger()?;
        let log: Arc<dyn EventLog> = Ledger::open(settings.ledger()).await.map_err(failed)?;
        let mut events: Vec<Event> = vec![];
        loop {
            let next = events.last().map_or(0, |e| e.seq + 1);
            let page = log.read(next, &Filter::all(), MAX_READ).await.map_err(failed)?;
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        let (mut state, mut rollouts) = (LoopState::default(), RolloutsView::default());
        for event in &events {
            state.apply(event);
            rollouts.fold(event);
        }
        Ok(Self { recorder: Recorder::new(log, "/lem/cli"), events, state, rollouts })
    }

    async fn ask<F: Fact>(&self, cli: &Cli, request: &F) -> Result<(), Failure> {
        let appended = self.recorder.record(request).await.map_err(failed)?;
        let answer = json!({"accepted": true, "seq": appended.seq, "subject": request.subject()});
        document(cli.output, &answer, |_| {
            format!("asked for; event {} says so, and a running lem up hears it\n", appended.seq)
        });
        Ok(())
    }

    /// The rollout meant: given, the one in flight, or the latest.
    fn rollout(&self, given: Option<&String>) -> Result<DeploymentId, Failure> {
        if let Some(id) = given {
            let id = DeploymentId::from(id.as_str());
            let known = self.state.releases.contains_key(&id);
            return if known { Ok(id) } else { Err(usage(format!("there is no rollout {id}"))) };
        }
        let latest = self.state.releases.values().max_by_key(|r| (r.in_flight(), r.seq));
        latest.map(|r| r.plan.deployment.clone()).ok_or_else(|| usage("there is no rollout yet"))
    }

    /// The rollout under way that is meant: given, or the latest.
    fn under_way(&self, given: Option<&String>) -> Result<DeploymentId, Failure> {
        let id = given.map(|id| DeploymentId::from(id.as_str()));
        if let Some(id) = id {
            return match self.state.releases.get(&id) {
                None => Err(usage(format!("there is no rollout {id}"))),
                Some(release) if release.finished.is_some() => Err(negative(format!("rollout {id} has ended"))),
                Some(_) => Ok(id),
            };
        }
        let open = self.state.releases.values().filter(|r| r.finished.is_none());
        let latest = open.max_by_key(|r| (r.in_flight(), r.seq));
        latest.map(|r| r.plan.deployment.clone()).ok_or_else(|| negative("no rollout is under way"))
    }

    /// The place meant: given, or the only one.
    fn place(&self, target: &Target) -> Result<lem_model::port::Scope, Failure> {
        let mut scopes: Vec<_> = self.state.releases.values().map(lem_feedback::state::Release::scope).collect();
        scopes.sort();
        scopes.dedup();
        scopes.retain(|s| {
            target.service.as_ref().is_none_or(|t| t == s.service.as_str())
                && target.environment.as_ref().is_none_or(|t| t == s.environment.as_str())
        });
        match scopes.len() {
            1 => Ok(scopes.remove(0)),
            0 => Err(usage("no such service and environment; lem status lists them")),
            _ => Err(usage("several services or environments match; choose with --service and --environment")),
        }
    }

    fn incident(&self, given: Option<&String>) -> Result<IncidentId, Failure> {
        let found = match given {
            Some(id) => self.state.incidents.get(&IncidentId::from(id.as_str())),
            None => self.state.incidents.values().max_by_key(|i| i.at),
        };
        found.map(|i| i.detected.incident.clone()).ok_or_else(|| negative("there is no such incident"))
    }
}

/// Who asks, for the ledger.
fn person() -> Actor {
    Actor::new(format!("person:{}", std::env::var("USER").unwrap_or_else(|_| "operator".to_owned())))
}

/// Runs one of them.
pub(crate) async fn local(cli: &Cli, directory: &Path) -> Result<(), Failure> {
    let known = Known::read(directory).await?;
    let by = person();
    match &cli.command {
        Command::Status { service } => status(cli, &known, service.as_deref()),
        Command::Promote { rollout, full } => {
            let (deployment, reason) = meant(&known, rollout)?;
            known.ask(cli, &PromoteRequested { deployment, full: *full, reason, by }).await
        }
        Command::Abort(rollout) => {
            let (deployment, reason) = meant(&known, rollout)?;
            known.ask(cli, &AbortRequested { deployment, reason, by }).await
        }
        Command::Retry(rollout) => {
            let (deployment, reason) = (known.rollout(rollout.deployment.as_ref())?, rollout.reason.clone());
            known.ask(cli, &RetryRequested { deployment, reason, by }).await
        }
        Command::Pause(rollout) => {
            let (deployment, reason) = meant(&known, rollout)?;
            known.ask(cli, &PauseRequested { deployment, reason, by }).await
        }
        Command::Resume(rollout) => {
            let (deployment, reason) = meant(&known, rollout)?;
            known.ask(cli, &ResumeRequested { deployment, reason, by }).await
        }
        Command::Rollback { target, to, reason } => {
            let scope = known.place(target)?;
            let request = RollbackRequested {
                service: scope.service,
                environment: scope.environment,
                from: None,
                to: to.as_deref().map(Into::into),
                reason: reason.clone(),
                incident: None,
                by,
            };
            known.ask(cli, &request).await
        }
        Command::Freeze { scope, reason, duration } => {
            let until = duration.as_deref().map(until).transpose()?;
            known.ask(cli, &FreezeRequested { scope: scope.clone(), until, reason: reason.clone(), by }).await
        }
        Command::Unfreeze { scope, reason } => {
            known.ask(cli, &UnfreezeRequested { scope: scope.clone(), reason: reason.clone(), by }).await
        }
        Command::Notes { deployment } => notes(&known, deployment.as_ref()),
        Command::Incidents { incident, report } => incidents(cli, &known, incident.as_ref(), *report),
        Command::Why { incident, confirm, reject } => why(cli, &known, incident.as_ref(), *confirm, *reject).await,
        Command::Dora { environment, days } => {
            let now = Timestamp::now();
            let back = SignedDuration::from_hours(24 * i64::from(*days));
            let from = now.checked_sub(back).map_err(|e| usage(e.to_string()))?;
            let found = dora(&known.state, &environment.as_str().into(), Window { from, to: now });
            document(cli.output, &json!(found), |_| dora_text(&found));
            Ok(())
        }
        _ => Err(usage("this command does not read the ledger")),
    }
}

fn meant(known: &Known, request: &RolloutRequest) -> Result<(DeploymentId, String), Failure> {
    Ok((known.under_way(request.deployment.as_ref())?, request.reason.clone()))
}

fn until(duration: &str) -> Result<Timestamp, Failure> {
    let ms = lem_engine_yaml::parse_duration_ms(duration)
        .ok_or_else(|| usage(format!("{duration:?} is no duration such as 90s or 2h")))?;
    let span = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    Timestamp::now().checked_add(span).map_err(|e| usage(e.to_string()))
}

fn status(cli: &Cli, known: &Known, service: Option<&str>) -> Result<(), Failure> {
    let mut rows: Vec<Vec<String>> = vec![];
    let mut releases: Vec<_> = known.state.releases.values().collect();
    releases.sort_by_key(|r| std::cmp::Reverse(r.seq));
    for release in releases.iter().filter(|r| service.is_none_or(|s| s == r.plan.service.as_str())) {
        let weight = release.weights.last().map_or(0, |(_, w)| *w);
        let outcome = match (&release.removed, &release.finished) {
            (Some((_, why)), _) => format!("off: {why}"),
            (None, Some((_, f))) => f.why.clone(),
            (None, None) => "on its way".to_owned(),
        };
        rows.push(vec![
            release.plan.service.to_string(),
            release.plan.environment.to_string(),
            release.plan.version.to_string(),
            format!("{weight} %"),
            release.plan.deployment.to_string(),
            outcome,
        ]);
    }
    let headings = ["SERVICE", "ENVIRONMENT", "VERSION", "TRAFFIC", "ROLLOUT", "STATE"];
    document(cli.output, &json!(rows), |_| table(&headings, &rows));
    Ok(())
}

fn notes(known: &Known, given: Option<&String>) -> Result<(), Failure> {
    let deployment = known.rollout(given)?;
    let notes =
        known.events.iter().rev().filter_map(Event::read::<ReleaseNotesPublished>).find(|n| n.deployment == deployment);
    match notes {
        Some(notes) => print!("{}", notes.markdown),
        None => match known.rollouts.record(&deployment) {
            Some(record) => print!("{record}"),
            None => return Err(negative(format!("rollout {deployment} has no notes yet"))),
        },
    }
    Ok(())
}

fn incidents(cli: &Cli, known: &Known, given: Option<&String>, wants_report: bool) -> Result<(), Failure> {
    if given.is_none() && !wants_report {
        let mut all: Vec<_> = known.state.incidents.values().collect();
        all.sort_by_key(|i| std::cmp::Reverse(i.at));
        let row = |i: &&lem_feedback::state::Incident| {
            let state = if i.resolved.is_some() { "resolved" } else { "open" };
            vec![
                i.detected.incident.to_string(),
                state.to_owned(),
                i.detected.severity.clone(),
                i.at.to_string(),
                i.detected.title.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        document(cli.output, &json!(rows), |_| table(&["INCIDENT", "STATE", "SEVERITY", "DETECTED", "TITLE"], &rows));
        return Ok(());
    }
    let id = known.incident(given)?;
    let told = report::timeline(&known.state, &id, &known.events);
    let Some(incident) = known.state.incidents.get(&id) else { return Ok(()) };
    if wants_report {
        print!("{}", report::incident_markdown(&known.state, incident, &told));
        return Ok(());
    }
    let rows: Vec<Vec<String>> =
        told.iter().map(|e| vec![e.at.to_string(), e.sentence.clone(), e.seq.to_string()]).collect();
    document(cli.output, &json!(told), |_| {
        format!(
            "{id} {}\n{}\n\n{}",
            incident.detected.title,
            report::status(incident),
            table(&["TIME", "WHAT", "EVENT"], &rows)
        )
    });
    Ok(())
}

async fn why(cli: &Cli, known: &Known, given: Option<&String>, confirm: bool, reject: bool) -> Result<(), Failure> {
    let id = known.incident(given)?;
    let Some(incident) = known.state.incidents.get(&id) else { return Ok(()) };
    if confirm || reject {
        let named = incident.attribution.as_ref().filter(|a| a.standing == Standing::Proposed);
        let Some((named, cause)) = named.and_then(|a| a.proposed.causes.first().map(|c| (a, c))) else {
            return Err(negative(format!("{id} names no cause that is still open")));
        };
        let (attribution, kind) = (named.proposed.attribution.clone(), cause.kind.clone());
        let (sha, deployment, by) = (cause.sha.clone(), cause.deployment.clone(), person());
        let sentence = "said on the command line".to_owned();
        return if confirm {
            known
                .ask(cli, &AttributionConfirmed { attribution, incident: id, sha, deployment, kind, sentence, by })
                .await
        } else {
            known
                .ask(cli, &AttributionRejected { attribution, incident: id, sha, deployment, kind, sentence, by })
                .await
        };
    }
    print!("{}", report::why(incident));
    Ok(())
}

fn dora_text(d: &Dora) -> String {
    let seconds = |v: Option<f64>| v.map_or("unknown".to_owned(), |s| format!("{s:.0} s"));
    let share = |s: &lem_feedback::plan::dora::Share| {
        let percent = s.value.map_or("unknown".to_owned(), |x| format!("{:.0} %", x * 100.0));
        format!("{percent} ({} of {})", s.numerator, s.denominator)
    };
    let frequency = d.deployment_frequency_per_day.map_or("unknown".to_owned(), |f| format!("{f:.1} a day"));
    let (lead, recovery) = (&d.change_lead_time, &d.failed_deployment_recovery_time);
    format!(
        "deployment frequency             {frequency}\n\
         change lead time                 {} median, {} p90, n = {}\n\
         change fail rate                 {}\n\
         deployment rework rate           {}\n\
         failed deployment recovery time  {} median, n = {}\n",
        seconds(lead.median_s),
        seconds(lead.p90_s),
        lead.n,
        share(&d.change_fail_rate),
        share(&d.deployment_rework_rate),
        seconds(recovery.median_s),
        recovery.n,
    )
}
