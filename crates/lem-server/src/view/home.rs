//! The loop, live.

use crate::dto::{self, NowItem, NowKind, Number, RolloutState, State, StationId};
use crate::port::Costs;
use crate::record::Record;
use crate::view::counted;
use crate::view::{change, deploy, incident, run, stations};
use jiff::{SignedDuration, Timestamp};
use lem_feedback::LoopState;

/// Changes in flight that are shown.
pub const IN_FLIGHT_MAX: usize = 50;
/// Things that need a person that are shown.
pub const NOW_MAX: usize = 100;
/// How far back the numbers of a station look.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whose loop it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// Watched branch.
    pub branch: String,
}

/// The home page.
pub fn home(
    record: &Record,
    state: &LoopState,
    repository: &Repository,
    costs: Option<&Costs>,
    now: Timestamp,
) -> dto::LoopHome {
    let in_flight = record.changes.keys().rev().filter(|sha| change::in_flight(record, sha));
    let in_flight = in_flight.filter_map(|sha| change::row(record, sha)).take(IN_FLIGHT_MAX);
    dto::LoopHome {
        repository: repository.name.clone(),
        branch: repository.branch.clone(),
        stations: stations(record, state, costs, now),
        arrows: arrows(record),
        in_flight: in_flight.collect(),
        now: needs_a_person(record, state, now),
        seq: record.size,
    }
}

fn arrows(record: &Record) -> Vec<dto::Arrow> {
    use StationId::{Deploy, Observe, Optimize, Pipeline, Provision, Release};
    let all = [
        (Provision, Pipeline),
        (Pipeline, Release),
        (Release, Deploy),
        (Deploy, Observe),
        (Observe, Deploy),
        (Observe, Pipeline),
        (Observe, Provision),
        (Observe, Optimize),
        (Optimize, Provision),
    ];
    all.into_iter()
        .map(|(from, to)| {
            let flow = record.arrows.get(&(from, to));
            dto::Arrow {
                from,
                to,
                sentence: flow.map(|f| f.sentence.clone()),
                at: flow.map(|f| f.at.into()),
                seq: flow.map(|f| f.seq),
            }
        })
        .collect()
}

/// What a station says of itself.
pub(crate) struct Says {
    pub(crate) state: State,
    pub(crate) word: &'static str,
    pub(crate) sentence: String,
    pub(crate) number: Option<Number>,
}

pub(crate) fn count(label: &str, value: usize) -> Option<Number> {
    Some(Number { label: label.into(), value: value as f64, unit: String::new() })
}

fn stations(record: &Record, state: &LoopState, costs: Option<&Costs>, now: Timestamp) -> Vec<dto::Station> {
    use StationId::{Deploy, Observe, Optimize, Pipeline, Provision, Release, Secure};
    let station = |id: StationId, title: &str, href: &str, says: Says| dto::Station {
        id,
        title: title.into(),
        state: says.state,
        word: says.word.into(),
        sentence: says.sentence,
        last_activity: record.last.get(&id).map(|f| f.at.into()),
        number: says.number,
        href: href.into(),
        available: true,
    };
    vec![
        station(Provision, "Provision", "/provision", stations::provision(record)),
        station(Pipeline, "Pipeline", "/pipeline", pipeline(record, now)),
        station(Release, "Release", "/releases", release(record)),
        station(Deploy, "Deploy", "/deploy", deployment(record)),
        station(Observe, "Observe", "/observe", observe(record, state)),
        station(Secure, "Secure", "/secure", stations::secure(record)),
        station(Optimize, "Optimize", "/optimize", stations::optimize(record, costs)),
    ]
}

fn pipeline(record: &Record, now: Timestamp) -> Says {
    let today = record.runs.values().filter(|r| now.duration_since(r.queued.at) < DAY).count();
    let number = count("runs today", today);
    let open = record.runs.values().rev().find(|r| r.finished.is_none()).map(|r| run::row(record, r));
    if let Some(open) = open {
        let sentence = format!("{} runs on {}", open.pipeline_name, short(&open.sha));
        return Says { state: State::Running, word: "running", sentence, number };
    }
    match record.runs.values().rev().map(|r| run::row(record, r)).next() {
        None => Says { state: State::Unknown, word: "idle", sentence: "Nothing has run yet.".into(), number },
        Some(last) if last.outcome == Some(dto::RunOutcome::Success) => Says {
            state: State::Ok,
            word: "passed",
            sentence: format!("{} passed on {}", last.pipeline_name, short(&last.sha)),
            number,
        },
        Some(last) => Says {
            state: State::Bad,
            word: "failed",
            sentence: format!("{} did not pass on {}", last.pipeline_name, short(&last.sha)),
            number,
        },
    }
}

fn short(sha: &str) -> &str {
    sha.get(..8).unwrap_or(sha)
}

fn release(record: &Record) -> Says {
    let waiting = record.rollouts.values().filter(|r| r.started.is_none() && r.finished.is_none()).count();
    let number = count("planned", waiting);
    match record.rollouts.values().next_back() {
        None => Says { state: State::Unknown, word: "none", sentence: "Nothing was released yet.".into(), number },
        Some(last) => {
            let plan = &last.planned.fact;
            let sentence = format!("The last release is {} {} to {}.", plan.service, plan.version, plan.environment);
            let (state, word) = if waiting > 0 { (State::Waiting, "waiting") } else { (State::Ok, "released") };
            Says { state, word, sentence, number }
        }
    }
}

fn deployment(record: &Record) -> Says {
    let under_way: Vec<_> = record.rollouts.values().filter(|r| r.finished.is_none()).collect();
    if let Some(open) = under_way.last() {
        let (state, sentence) = change::rollout_state(open);
        let weight = open.weights.iter().find(|w| w.version == open.planned.fact.version).map(|w| w.weight);
        let number = weight.map(|w| Number { label: "of traffic".into(), value: f64::from(w), unit: "%".into() });
        let word = match state {
            State::Running => "rolling out",
            State::Bad => "turning back",
            _ => "waiting",
        };
        return Says { state, word, sentence, number };
    }
    let number = count(if record.places.len() == 1 { "service" } else { "services" }, record.places.len());
    match record.rollouts.values().next_back().map(change::rollout_state) {
        None => Says { state: State::Unknown, word: "empty", sentence: "Nothing is deployed yet.".into(), number },
        Some((State::Bad, sentence)) => Says { state: State::Bad, word: "rolled back", sentence, number },
        Some((_, sentence)) => Says { state: State::Ok, word: "steady", sentence, number },
    }
}

fn observe(record: &Record, state: &LoopState) -> Says {
    let firing = record.alerts.values().filter(|a| a.firing).count();
    let open: Vec<_> = state.incidents.values().filter(|i| i.resolved.is_none()).collect();
    let number = count("alerts firing", firing);
    match (open.first(), firing) {
        (Some(incident), _) => Says {
            state: State::Bad,
            word: "incident",
            sentence: format!("{}: {}", incident.detected.title, lem_feedback::report::status(incident)),
            number,
        },
        (None, 0) if record.places.is_empty() => {
            Says { state: State::Unknown, word: "quiet", sentence: "Nothing to observe yet.".into(), number }
        }
        (None, 0) => Says { state: State::Ok, word: "quiet", sentence: "No alert fires.".into(), number },
        (None, n) => Says {
            state: State::Bad,
            word: "alerting",
            sentence: format!("{}.", counted(n, "alert fires", "alerts fire")),
            number,
        },
    }
}

fn rank(severity: State) -> u8 {
    match severity {
        State::Bad => 0,
        State::Waiting => 1,
        _ => 2,
    }
}

/// What needs a person, worst first, then oldest first.
pub fn needs_a_person(record: &Record, state: &LoopState, now: Timestamp) -> Vec<NowItem> {
    let mut items = vec![];
    for found in state.incidents.values().filter(|i| i.resolved.is_none()) {
        let row = incident::row(record, found);
        items.push(NowItem {
            kind: NowKind::Incident,
            title: format!("{} {}", row.severity, row.title),
            sentence: row.status,
            href: format!("/incidents/{}", row.incident),
            since: row.since.unwrap_or(row.detected_at),
            severity: State::Bad,
        });
    }
    let opened = |alert: &lem_model::AlertId| {
        state.incidents.values().any(|i| i.resolved.is_none() && i.detected.alert.as_ref() == Some(alert))
    };
    for alert in record.alerts.values().filter(|a| a.firing && !opened(&a.fired.fact.alert)) {
        let fact = &alert.fired.fact;
        let text = ["summary", "description"].into_iter().find_map(|key| fact.annotations.get(key));
        items.push(NowItem {
            kind: NowKind::Alert,
            title: fact.rule.clone(),
            sentence: text.cloned().unwrap_or_else(|| fact.query.clone()),
            href: "/observe/alerts".into(),
            since: fact.active_at.into(),
            severity: State::Bad,
        });
    }
    for rollout in record.rollouts.values().filter(|r| r.finished.is_none()) {
        let (kind, since) = match (deploy::standing(rollout).0, &rollout.paused, &rollout.held) {
            (RolloutState::Paused, Some((since, _)), _) => (NowKind::Paused, *since),
            (RolloutState::Held, _, Some((since, _))) => (NowKind::Held, *since),
            _ => continue,
        };
        let plan = &rollout.planned.fact;
        items.push(NowItem {
            kind,
            title: format!("{} {} in {}", plan.service, plan.version, plan.environment),
            sentence: change::rollout_state(rollout).1,
            href: format!("/rollouts/{}", plan.deployment),
            since: since.into(),
            severity: State::Waiting,
        });
    }
    items.extend(deploy::freezes(record, now).into_iter().map(|f| NowItem {
        kind: NowKind::Freeze,
        title: format!("{} is frozen", f.scope),
        sentence: format!("{} by {}", f.reason, f.by),
        href: "/deploy".into(),
        since: f.since,
        severity: State::Waiting,
    }));
    let refused = record.refusals.iter().filter(|r| now.duration_since(r.at) < DAY);
    items.extend(refused.map(|r| NowItem {
        kind: NowKind::Refused,
        title: r.title.clone(),
        sentence: r.why.clone(),
        href: r.href.clone(),
        since: r.at.into(),
        severity: State::Waiting,
    }));
    items.extend(stations::need_a_person(record, now));
    let last = record.runs.values().rev().find(|r| r.finished.is_some()).map(|r| run::row(record, r));
    if let Some(failed) = last.filter(|r| r.outcome != Some(dto::RunOutcome::Success)) {
        items.push(NowItem {
            kind: NowKind::Failed,
            title: format!("{} failed on {}", failed.pipeline_name, short(&failed.sha)),
            sentence: failed.errors.unwrap_or_else(|| "the last run did not pass".into()),
            href: format!("/runs/{}", failed.run),
            since: failed.finished_at.unwrap_or(failed.queued_at),
            severity: State::Bad,
        });
    }
    items.sort_by_key(|i| (rank(i.severity), i.since));
    items.truncate(NOW_MAX);
    items
}
