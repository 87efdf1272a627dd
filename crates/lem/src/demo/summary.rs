//! One object at the end: what ran, what went out, what went wrong, and that the ledger holds.

use super::load::Counts;
use crate::wiring::Loop;
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use lem_feedback::plan::dora::dora;
use lem_feedback::state::{Incident, Release};
use lem_model::fact::{RolloutOutcome, RunFinished};
use lem_model::port::Window;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The summary as JSON.
pub(crate) async fn sum_up(the_loop: &Loop, counts: &Counts) -> Result<Value> {
    let runs = runs(the_loop).await?;
    let state = the_loop.feedback();
    let now = Timestamp::now();
    let window = Window { from: now.checked_sub(SignedDuration::from_hours(24))?, to: now };
    let (mut releases, incidents, dora) = state.read(|s| {
        let mut releases: Vec<Release> = s.releases.values().cloned().collect();
        releases.sort_by_key(|r| r.seq);
        let mut incidents: Vec<Incident> = s.incidents.values().cloned().collect();
        incidents.sort_by_key(|i| i.at);
        (releases, incidents, dora(s, &"production".into(), window))
    });
    releases.retain(|r| r.started_at.is_some());
    let verified = the_loop.verify().await?;
    Ok(json!({
        "runs": runs,
        "releases": releases.iter().map(|r| release(r, &incidents)).collect::<Vec<_>>(),
        "incidents": incidents.iter().map(|i| incident(i, the_loop)).collect::<Vec<_>>(),
        "dora": dora,
        "ledger": {"events": verified.events, "verified": verified.intact},
        "load": {
            "requests": counts.sent.load(Ordering::Relaxed),
            "failed": counts.failed.load(Ordering::Relaxed),
            "missed": counts.missed.load(Ordering::Relaxed),
        },
        "repository": the_loop.root().display().to_string(),
    }))
}

async fn runs(the_loop: &Loop) -> Result<Vec<Value>> {
    let log = the_loop.log();
    let filter = lem_ledger::Filter::types(["pipelinerun.finished"]);
    let events = log.read(0, &filter, lem_ledger::MAX_READ).await?;
    let finished = events.iter().filter_map(lem_model::Event::read::<RunFinished>);
    Ok(finished
        .map(|f| json!({"run": f.run, "pipeline": f.pipeline_name, "commit": f.sha, "outcome": f.outcome, "seconds": f.duration_ms as f64 / 1e3}))
        .collect())
}

fn release(release: &Release, incidents: &[Incident]) -> Value {
    let cause = incidents.iter().find_map(|i| {
        let attribution = i.attribution.as_ref()?;
        let cause = attribution.named().filter(|c| c.deployment.as_ref() == Some(&release.plan.deployment))?;
        Some((attribution.proposed.onset.clone(), cause.sentence.clone()))
    });
    let finished = release.finished.as_ref().map(|(_, f)| f.outcome);
    let outcome = match (&release.removed, finished) {
        (Some(_), _) => "rolled_back",
        (None, Some(RolloutOutcome::Promoted)) => "promoted",
        (None, Some(_)) => "failed",
        (None, None) => "in_flight",
    };
    let exposed = release.weights.iter().find(|(_, w)| *w > 0).map(|(at, _)| *at);
    let off = release.weights.iter().rev().find(|(_, w)| *w == 0).map(|(at, _)| *at);
    // The clock starts when customers could notice: at the first traffic, or at the onset when that came later.
    let began = cause.as_ref().and_then(|(onset, _)| onset.as_ref().map(|o| o.from)).into_iter().chain(exposed).max();
    let seconds =
        (outcome == "rolled_back").then_some(()).and_then(|()| Some(off?.duration_since(began?).as_secs_f64()));
    json!({
        "version": release.plan.version,
        "commit": release.plan.sha,
        "outcome": outcome,
        "cause": cause.map(|(_, sentence)| sentence).filter(|_| outcome == "rolled_back"),
        "seconds_to_rollback": seconds,
    })
}

fn incident(incident: &Incident, the_loop: &Loop) -> Value {
    let id = &incident.detected.incident;
    let cause = incident.attribution.as_ref().and_then(|a| a.named());
    json!({
        "incident": id,
        "title": incident.detected.title,
        "cause_commit": cause.and_then(|c| c.sha.clone()),
        "attribution_score": cause.map(|c| c.confidence),
        "attribution": incident.attribution.as_ref().map(|a| format!("{:?}", a.standing).to_lowercase()),
        "report": the_loop.report_path(id).display().to_string(),
    })
}

/// The same for people.
pub(crate) fn text(summary: &Value) -> String {
    let mut out = String::from("\n");
    let items = |key: &str| summary[key].as_array().cloned().unwrap_or_default();
    for r in items("releases") {
        let version = r["version"].as_str().unwrap_or("?");
        let seconds = r["seconds_to_rollback"].as_f64().map_or(String::new(), |s| format!(" after {s:.1} s"));
        out += &format!("release {version}  {}{seconds}\n", r["outcome"].as_str().unwrap_or("?").replace('_', " "));
        if let Some(cause) = r["cause"].as_str() {
            out += &format!("         {cause}\n");
        }
    }
    for i in items("incidents") {
        let score = i["attribution_score"].as_f64().map_or("unknown".to_owned(), |s| format!("{s:.2}"));
        out += &format!(
            "{}  {}, cause {} ({score}, {})\n",
            text_of(&i["incident"]),
            text_of(&i["title"]),
            text_of(&i["cause_commit"]),
            text_of(&i["attribution"])
        );
        out += &format!("         report: {}\n", text_of(&i["report"]));
    }
    let ledger = &summary["ledger"];
    let verdict = if ledger["verified"] == true { "verified" } else { "NOT verified" };
    out += &format!("ledger   {} events, {verdict}\n", ledger["events"]);
    out += &format!("load     {} requests, {} failed\n", summary["load"]["requests"], summary["load"]["failed"]);
    out += &format!("state    {}\n", text_of(&summary["repository"]));
    out
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), str::to_owned)
}
