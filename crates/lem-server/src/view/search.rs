//! Finds things by words.

use crate::dto::Hit;
use crate::record::{Record, first_line};
use crate::view::{change, run};
use lem_feedback::LoopState;

/// Results shown.
pub const HITS_MAX: usize = 50;
/// Bytes of a question that are looked at.
pub const QUESTION_MAX: usize = 200;

/// Things in which every word occurs, newest first within their kind.
pub fn search(record: &Record, state: &LoopState, question: &str) -> Vec<Hit> {
    let question = question.get(..QUESTION_MAX).unwrap_or(question).to_lowercase();
    let words: Vec<&str> = question.split_whitespace().collect();
    if words.is_empty() {
        return vec![];
    }
    let fits = |hit: &Hit| {
        let text = format!("{} {} {}", hit.title, hit.sentence, hit.href).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let hit = |kind: &str, title: String, sentence: String, href: String| Hit {
        kind: kind.to_owned(),
        title,
        sentence,
        href,
    };
    let services = record.places.iter().map(|((service, environment), placed)| {
        let version = placed.version.as_deref().unwrap_or("nothing");
        hit("service", service.clone(), format!("{version} runs in {environment}"), "/deploy".into())
    });
    let incidents = state.incidents.values().rev().map(|i| {
        let status = lem_feedback::report::status(i);
        hit("incident", i.detected.title.clone(), status, format!("/incidents/{}", i.detected.incident))
    });
    let changes = record.changes.iter().rev().map(|(sha, c)| {
        hit("change", first_line(&c.fact), format!("{sha} by {}", c.fact.author), format!("/changes/{sha}"))
    });
    let rollouts = record.rollouts.values().rev().map(|r| {
        let plan = &r.planned.fact;
        let title = format!("{} {}", plan.service, plan.version);
        hit("rollout", title, change::rollout_state(r).1, format!("/rollouts/{}", plan.deployment))
    });
    let runs = record.runs.values().rev().map(|r| {
        let row = run::row(record, r);
        hit("run", row.pipeline_name, format!("{} on {}", row.sha, row.branch), format!("/runs/{}", row.run))
    });
    let alerts = record
        .alerts
        .values()
        .rev()
        .map(|a| hit("alert", a.fired.fact.rule.clone(), a.fired.fact.query.clone(), "/observe/alerts".into()));
    services
        .chain(incidents)
        .chain(changes)
        .chain(rollouts)
        .chain(runs)
        .chain(alerts)
        .filter(fits)
        .take(HITS_MAX)
        .collect()
}
