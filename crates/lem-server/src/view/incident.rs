//! Incidents as lists and pages.

use crate::dto::{self, IncidentState};
use crate::record::Record;
use lem_feedback::LoopState;
use lem_feedback::plan::dora;
use lem_feedback::report::{TimelineEntry, status};
use lem_feedback::state::{Attribution, Incident, Standing};

/// Where an incident is: what people wrote, and whether it is over.
pub fn standing(record: &Record, incident: &Incident) -> IncidentState {
    let notes = record.notes.get(incident.detected.incident.as_str());
    let said = |kind: &str| notes.is_some_and(|notes| notes.iter().any(|n| n.fact.kind == kind));
    match incident.resolved {
        Some(_) if said("closed") => IncidentState::Closed,
        Some(_) => IncidentState::Resolved,
        None if said("mitigated") => IncidentState::Mitigated,
        None if said("acknowledged") => IncidentState::Acknowledged,
        None => IncidentState::Open,
    }
}

/// An incident as a row.
pub fn row(record: &Record, incident: &Incident) -> dto::IncidentRow {
    let detected = &incident.detected;
    dto::IncidentRow {
        incident: detected.incident.to_string(),
        title: detected.title.clone(),
        severity: detected.severity.clone(),
        state: standing(record, incident),
        service: detected.service.as_ref().map(|s| s.id.clone()),
        environment: detected.environment.id.clone(),
        since: detected.since.map(Into::into),
        detected_at: incident.at.into(),
        resolved_at: incident.resolved.as_ref().map(|(at, _)| (*at).into()),
        status: status(incident),
    }
}

/// Incidents, newest first, in any of these states; none is all of them.
pub fn table(record: &Record, state: &LoopState, states: &[IncidentState], limit: usize) -> Vec<dto::IncidentRow> {
    let mut all: Vec<&Incident> = state.incidents.values().collect();
    all.sort_by_key(|i| std::cmp::Reverse(i.at));
    let rows = all.into_iter().map(|i| row(record, i));
    rows.filter(|r| states.is_empty() || states.contains(&r.state)).take(limit).collect()
}

/// An incident as a page.
pub fn detail(
    record: &Record,
    state: &LoopState,
    id: &str,
    timeline: Vec<TimelineEntry>,
) -> Option<dto::IncidentDetail> {
    let incident = state.incidents.get(&id.into())?;
    let detected = &incident.detected;
    let alert = detected.alert.as_ref().and_then(|a| record.alerts.get(a.as_str()));
    let notes = record.notes.get(id).into_iter().flatten().map(|n| dto::IncidentNote {
        kind: n.fact.kind.clone(),
        text: n.fact.text.clone(),
        by: n.fact.by.to_string(),
        at: n.at.into(),
        seq: n.seq,
    });
    let actions = incident.actions.iter();
    let actions = actions.map(|(at, a)| action(&a.kind, &a.sentence, *at));
    let refusals = incident.refusals.iter().map(|(at, a)| action(&a.kind, &a.why, *at));
    let timeline = timeline.into_iter();
    let timeline = timeline.map(|e| dto::TimelineEntry { at: e.at.into(), sentence: e.sentence, seq: e.seq });
    Some(dto::IncidentDetail {
        summary: row(record, incident),
        description: detected.description.clone().unwrap_or_default(),
        attribution: incident.attribution.as_ref().map(attribution),
        rejected: incident.rejected.iter().map(attribution).collect(),
        actions: actions.collect(),
        refusals: refusals.collect(),
        notes: notes.collect(),
        timeline: timeline.collect(),
        symptom: symptom(incident, alert),
        alert: alert.map(alert_info),
        deployment: detected.deployment.as_ref().map(ToString::to_string),
    })
}

fn action(kind: &str, sentence: &str, at: jiff::Timestamp) -> dto::IncidentAction {
    dto::IncidentAction { kind: kind.to_owned(), sentence: sentence.to_owned(), at: at.into() }
}

/// Half an hour before the symptom began and after it ended.
const AROUND: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);

fn symptom(incident: &Incident, alert: Option<&crate::record::Alert>) -> Option<dto::Symptom> {
    let onset = incident.attribution.as_ref().and_then(|a| a.proposed.onset.as_ref());
    let query = onset.map(|o| o.query.clone()).or_else(|| alert.map(|a| a.fired.fact.query.clone()))?;
    let began = onset.map_or(incident.detected.since.unwrap_or(incident.at), |o| o.from);
    let ended = incident.resolved.as_ref().map_or(incident.at, |(at, _)| *at);
    let from = began.checked_sub(AROUND).unwrap_or(began);
    let to = ended.checked_add(AROUND).unwrap_or(ended);
    Some(dto::Symptom { query, from: from.into(), to: to.into() })
}

fn alert_info(alert: &crate::record::Alert) -> dto::AlertInfo {
    let fact = &alert.fired.fact;
    dto::AlertInfo {
        alert: fact.alert.to_string(),
        rule: fact.rule.clone(),
        labels: fact.labels.clone(),
        annotations: fact.annotations.clone(),
        query: fact.query.clone(),
        value: fact.value,
        active_at: fact.active_at.into(),
        firing: alert.firing,
    }
}

fn attribution(a: &Attribution) -> dto::Attribution {
    let onset = a.proposed.onset.as_ref();
    dto::Attribution {
        attribution: a.proposed.attribution.to_string(),
        level: a.proposed.level.clone(),
        standing: match a.standing {
            Standing::Proposed => dto::Standing::Proposed,
            Standing::Abstained => dto::Standing::Abstained,
            Standing::Confirmed => dto::Standing::Confirmed,
            Standing::Rejected => dto::Standing::Rejected,
        },
        abstained: a.abstained.clone(),
        onset: onset.map(|o| dto::Onset { from: o.from.into(), to: o.to.into(), query: o.query.clone() }),
        causes: a.proposed.causes.iter().map(cause).collect(),
        blind_spots: a.proposed.blind_spots.clone(),
        settled: a.settled.clone(),
        at: a.at.into(),
    }
}

fn cause(c: &lem_model::fact::RankedCause) -> dto::Cause {
    let factors = c.factors.iter().map(|f| dto::Factor {
        name: f.name.clone(),
        value: f.value,
        sentence: f.sentence.clone(),
        query: f.query.clone(),
    });
    dto::Cause {
        kind: c.kind.clone(),
        name: c.name.clone(),
        sha: c.sha.as_ref().map(ToString::to_string),
        deployment: c.deployment.as_ref().map(ToString::to_string),
        version: c.version.as_ref().map(ToString::to_string),
        effective_at: c.effective_at.map(Into::into),
        score: c.score,
        confidence: c.confidence,
        factors: factors.collect(),
        sentence: c.sentence.clone(),
        against: c.against.clone(),
    }
}

/// DORA's metrics on the wire.
pub fn dora_of(d: dora::Dora) -> dto::Dora {
    let distribution =
        |d: dora::Distribution| dto::Distribution { n: d.n as u64, median_s: d.median_s, p90_s: d.p90_s };
    let share = |s: dora::Share| dto::Share {
        numerator: s.numerator as u64,
        denominator: s.denominator as u64,
        value: s.value,
    };
    let row = |r: dora::Row| dto::DoraRow {
        deployment: r.deployment.to_string(),
        service: r.service.to_string(),
        version: r.version.to_string(),
        sha: r.sha.to_string(),
        at: r.at.into(),
        promoted: r.promoted,
        failed: r.failed,
        incident: r.incident.map(|i| i.to_string()),
        recovery_s: r.recovery_s,
        lead_times_s: r.lead_times_s,
    };
    dto::Dora {
        from: d.from.into(),
        to: d.to.into(),
        environment: d.environment.to_string(),
        deployment_frequency_per_day: d.deployment_frequency_per_day,
        change_lead_time: distribution(d.change_lead_time),
        change_fail_rate: share(d.change_fail_rate),
        deployment_rework_rate: share(d.deployment_rework_rate),
        failed_deployment_recovery_time: distribution(d.failed_deployment_recovery_time),
        deployments: d.deployments.into_iter().map(row).collect(),
    }
}
