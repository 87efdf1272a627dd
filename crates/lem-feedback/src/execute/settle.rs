//! What follows: whether the action helped, what it teaches, the report.

use super::attribute::HISTORY;
use super::{FeedbackError, FeedbackService};
use crate::events::*;
use crate::plan::confirm::{self, Intervention, Outcome};
use crate::plan::gap;
use crate::report;
use crate::state::{Incident, LoopState, Standing};
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{EventLog, Filter, View};
use lem_model::fact::RankedCause;
use lem_model::port::Window;
use lem_model::{Actor, Digest, IncidentId};
use std::sync::Arc;

impl FeedbackService {
    /// Whether taking the named release off traffic made the symptom go away.
    pub(super) async fn follow_up(&self, incident: &Incident) -> Result<(), FeedbackError> {
        let Some(attribution) = &incident.attribution else { return Ok(()) };
        let (Some(cause), Some(onset), Some(scope)) =
            (attribution.proposed.causes.first(), &attribution.proposed.onset, incident.scope())
        else {
            return Ok(());
        };
        let Some(deployment) = &cause.deployment else { return Ok(()) };
        let acted_at = self.state.read(|s| {
            let release = s.releases.get(deployment)?;
            release.weights.iter().rev().find(|(_, w)| *w == 0).map(|(at, _)| *at).filter(|at| *at >= onset.from)
        });
        let Some(acted_at) = acted_at else { return Ok(()) };
        let now = self.options.recorder.clock().now();
        let window = Window { from: onset.from.checked_sub(HISTORY).unwrap_or(Timestamp::MIN), to: now };
        // A silent source proves nothing either way; the next look asks again.
        let Ok(series) = self.options.symptoms.series(&scope, window).await else { return Ok(()) };
        let intervention = Intervention { version: cause.version.as_ref(), at: acted_at };
        let key = |verdict: &str| format!("{verdict}:{}", attribution.proposed.attribution);
        let recorder = &self.options.recorder;
        match confirm::outcome(&series, onset, intervention, now, &self.options.config) {
            Outcome::Waiting | Outcome::RecoveredBefore => {}
            Outcome::Helped(sentence) => {
                let fact = AttributionConfirmed {
                    attribution: attribution.proposed.attribution.clone(),
                    incident: incident.detected.incident.clone(),
                    sha: cause.sha.clone(),
                    deployment: cause.deployment.clone(),
                    kind: cause.kind.clone(),
                    sentence,
                    by: Actor::from("intervention"),
                };
                recorder.record_as(key("confirmed"), &fact).await?;
                self.raise_risk(incident, cause).await?;
            }
            Outcome::DidNotHelp(sentence) => {
                let fact = AttributionRejected {
                    attribution: attribution.proposed.attribution.clone(),
                    incident: incident.detected.incident.clone(),
                    sha: cause.sha.clone(),
                    deployment: cause.deployment.clone(),
                    kind: cause.kind.clone(),
                    sentence,
                    by: Actor::from("intervention"),
                };
                let appended = recorder.record_as(key("rejected"), &fact).await?;
                self.state.wait_for(appended.seq).await;
            }
        }
        Ok(())
    }

    async fn raise_risk(&self, incident: &Incident, cause: &RankedCause) -> Result<(), FeedbackError> {
        let (Some(sha), Some(scope)) = (&cause.sha, incident.scope()) else { return Ok(()) };
        let paths = self.state.read(|s| gap::paths(s, cause));
        let fact = RiskRaised {
            service: scope.service,
            paths,
            sha: sha.clone(),
            incident: incident.detected.incident.clone(),
        };
        self.options.recorder.record_as(format!("risk:{}", incident.detected.incident), &fact).await?;
        Ok(())
    }

    /// What is due once an incident is over: the test that was missing, the report.
    pub(super) async fn close(&self, incident: &Incident) -> Result<(), FeedbackError> {
        if let Some(fact) = self.state.read(|s| gap::test_gap(s, incident)) {
            let id = &incident.detected.incident;
            let appended = self.options.recorder.record_as(format!("testgap:{id}"), &fact).await?;
            self.state.wait_for(appended.seq).await;
        }
        self.publish(incident).await
    }

    /// Writes the report once the incident is over and its cause is settled, or will not be any more.
    async fn publish(&self, incident: &Incident) -> Result<(), FeedbackError> {
        let Some((resolved_at, _)) = &incident.resolved else { return Ok(()) };
        let Some(attribution) = &incident.attribution else { return Ok(()) };
        let waited = self.options.recorder.clock().now().duration_since(*resolved_at);
        let patience = self.options.config.recovered_within + self.options.config.recovered_for;
        let settled = attribution.standing != Standing::Proposed;
        if !settled && waited < SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX) {
            return Ok(());
        }
        let id = &incident.detected.incident;
        let path = self.options.reports.join(format!("{id}.md"));
        if path.exists() {
            return Ok(());
        }
        let markdown = self.report(id).await?.unwrap_or_default();
        write_new(&path, &markdown)?;
        let fact = ReportPublished {
            kind: "incident".into(),
            name: id.to_string(),
            uri: format!("/api/v1/incidents/{id}/report"),
            digest: Digest::of(markdown.as_bytes()),
        };
        self.options.recorder.record_as(format!("report:{id}"), &fact).await?;
        Ok(())
    }

    /// The report as it stands: the published document, or a draft from what is known now.
    pub async fn report(&self, id: &IncidentId) -> Result<Option<String>, FeedbackError> {
        if let Ok(published) = std::fs::read_to_string(self.options.reports.join(format!("{id}.md"))) {
            return Ok(Some(published));
        }
        let timeline = timeline(self.options.recorder.log(), &self.state, id).await?;
        Ok(self.state.read(|s| s.incidents.get(id).map(|incident| report::incident_markdown(s, incident, &timeline))))
    }
}

/// The timeline of an incident, read from the log.
pub async fn timeline(
    log: &Arc<dyn EventLog>,
    state: &View<LoopState>,
    id: &IncidentId,
) -> Result<Vec<report::TimelineEntry>, FeedbackError> {
    let since = state.read(|s| {
        let incident = s.incidents.get(id)?;
        let cause = incident.attribution.as_ref().and_then(|a| a.proposed.causes.first());
        let deployment = cause.and_then(|c| c.deployment.as_ref()).or(incident.detected.deployment.as_ref());
        let planned = deployment.and_then(|d| s.releases.get(d)).map(|r| r.planned_at);
        let committed = cause.and_then(|c| c.sha.as_ref()).and_then(|sha| s.changes.get(sha)).map(|(at, _)| *at);
        [Some(incident.at), planned, committed].into_iter().flatten().min()
    });
    let Some(since) = since else { return Ok(vec![]) };
    let filter = Filter { since: Some(since), ..Filter::all() };
    let mut events = vec![];
    let mut next = 0;
    loop {
        let page = log.read(next, &filter, lem_ledger::MAX_READ).await?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        events.extend(page);
    }
    Ok(state.read(|s| report::timeline(s, id, &events)))
}

/// Write, sync, rename: a report is there whole or not at all.
fn write_new(path: &std::path::Path, text: &str) -> Result<(), FeedbackError> {
    let wrap = |source| FeedbackError::Report { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrap)?;
    }
    let draft = path.with_extension("md.tmp");
    let mut file = std::fs::File::create(&draft).map_err(wrap)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(wrap)?;
    file.sync_all().map_err(wrap)?;
    std::fs::rename(&draft, path).map_err(wrap)
}
