//! The page of the provision stage.

use crate::dto::{
    ChangedAttribute, DriftCheck, FilePlace, GateState, InfraEnvironment, InfraPlan, InfraResource, Money, PlanChange,
    PlanState, PolicyNote, ProvisionView, ShownAttribute, State, Unpriced,
};
use crate::port::Infrastructure;
use crate::record::{At, Record};
use crate::view::counted;
use lem_model::fact::{CostEstimated, PlanFinished, ResourceChange};
use lem_model::finding::{Finding, Subject};
use lem_model::resource::{Attribute, Language, Resource, ResourceAction as Planned};
use std::collections::{BTreeMap, BTreeSet};

/// Resources that are shown.
pub const RESOURCES_MAX: usize = 2_000;
/// Engine of a folder that is read and not applied.
const FILES: &str = "files";
/// Bytes of an attribute's value that are shown.
const VALUE_SHOWN: usize = 400;

/// The page: what the files say, with what the ledger knows of it.
pub fn provision(record: &Record, infrastructure: &[Infrastructure]) -> ProvisionView {
    let all: usize = infrastructure.iter().map(|i| i.graph.resources.len()).sum();
    let mut view = ProvisionView {
        environments: infrastructure.iter().map(|i| environment(record, i)).collect(),
        resources: infrastructure.iter().flat_map(|i| resources(record, i)).take(RESOURCES_MAX).collect(),
        resources_omitted: all.saturating_sub(RESOURCES_MAX) as u64,
        plans: record.stages.plans.values().map(|p| plan(record, p)).collect(),
        drift: drift(record),
        docs: vec![],
    };
    view.plans.sort_by_key(|p| std::cmp::Reverse(p.seq));
    let mut docs: BTreeMap<&str, &Infrastructure> = BTreeMap::new();
    for one in infrastructure {
        docs.entry(&one.root).or_insert(one);
    }
    view.docs = docs
        .into_values()
        .filter(|i| !i.documentation.is_empty())
        .map(|i| crate::dto::InfraDoc { root: i.root.clone(), title: i.root.clone(), text: i.documentation.clone() })
        .collect();
    view
}

fn environment(record: &Record, one: &Infrastructure) -> InfraEnvironment {
    let stages = &record.stages;
    let key = (one.environment.clone(), one.root.clone());
    let (apply, plan, drift) = (stages.applies.get(&key), stages.plans.get(&key), stages.drift.get(&key));
    let pending = plan.filter(|p| apply.is_none_or(|a| a.seq < p.seq)).map(|p| p.fact.counts);
    let changes = pending.map_or(0, |c| c.create + c.update + c.replace + c.delete);
    let drifted = drift.filter(|d| apply.is_none_or(|a| a.seq < d.seq)).map_or(0, |d| d.fact.changes.len());
    let errors = one.graph.diagnostics.iter().filter(|d| d.is_error()).count();
    let (state, word, sentence) = match (errors, apply) {
        (n, _) if n > 0 => (
            State::Bad,
            "does not read",
            format!("{} in its files: {}", counted(n, "error", "errors"), one.graph.diagnostics[0]),
        ),
        (_, Some(a)) if !a.fact.failed.is_empty() => (
            State::Bad,
            "failed",
            format!("{} in the last apply.", counted(a.fact.failed.len(), "resource failed", "resources failed")),
        ),
        _ if drifted > 0 => {
            let sentence =
                format!("{} from what was applied.", counted(drifted, "resource differs", "resources differ"));
            (State::Bad, "drifted", sentence)
        }
        _ if changes > 0 => {
            let planned = counted(changes as usize, "change is", "changes are");
            (State::Waiting, "plan waits", format!("{planned} planned and not applied."))
        }
        (_, Some(_)) => {
            (State::Ok, "applied", "What was applied is what the files say, as far as is known.".to_owned())
        }
        (_, None) if one.engine == FILES => (
            State::Unknown,
            "read only",
            "Read for its rules, its cost and its documents; it is not applied here.".to_owned(),
        ),
        (_, None) => (State::Unknown, "not applied", "Nothing of it was applied by this loop.".to_owned()),
    };
    InfraEnvironment {
        environment: one.environment.clone(),
        root: one.root.clone(),
        language: one.graph.resources.first().map_or(Language::Terraform, |r| r.language).into(),
        engine: one.engine.clone(),
        state,
        word: word.to_owned(),
        sentence,
        resources: one.graph.resources.len() as u64,
        applied_at: apply.map(|a| a.at.into()),
        applied_sha: apply.and_then(|a| a.fact.sha.as_ref().map(ToString::to_string)),
        applied_seq: apply.map(|a| a.seq),
        monthly: one.cost.as_ref().map(|c| (&c.after).into()),
        unpriced: one
            .cost
            .as_ref()
            .map_or(0, |c| c.unknown.iter().map(|u| &u.address).collect::<BTreeSet<_>>().len() as u64),
    }
}

fn findings<'a>(record: &'a Record, address: &'a str) -> impl Iterator<Item = &'a Finding> {
    let scan = record.stages.scan.as_ref();
    scan.into_iter()
        .flat_map(|s| &s.fact.findings)
        .filter(move |f| f.is_open() && matches!(&f.subject, Subject::Resource { address: a } if a == address))
}

fn resources<'a>(record: &'a Record, one: &'a Infrastructure) -> impl Iterator<Item = InfraResource> + 'a {
    let apply = record.stages.applies.get(&(one.environment.clone(), one.root.clone()));
    one.graph.resources.iter().map(move |resource| {
        let failed = apply.and_then(|a| a.fact.failed.iter().find(|(address, _)| *address == resource.address));
        let (state, word) = match (failed, apply) {
            (Some(_), _) => (State::Bad, "failed"),
            (None, Some(_)) => (State::Ok, "applied"),
            (None, None) if one.engine == FILES => (State::Unknown, "read only"),
            (None, None) => (State::Unknown, "not applied"),
        };
        let cost = one.cost.as_ref();
        let known = cost.and_then(|c| c.resources.iter().find(|r| r.address == resource.address));
        let unknown = cost.and_then(|c| c.unknown.iter().find(|u| u.address == resource.address));
        let free = cost.filter(|_| known.is_none() && unknown.is_none()).map(|c| nothing(&c.after.currency));
        InfraResource {
            environment: one.environment.clone(),
            root: one.root.clone(),
            address: resource.address.clone(),
            kind: resource.kind.clone(),
            provider: resource.provider.clone(),
            region: resource.region.as_ref().and_then(Attribute::as_str).map(str::to_owned),
            data: resource.data,
            state,
            word: word.to_owned(),
            place: (&resource.place).into(),
            depends_on: resource.depends_on.clone(),
            attributes: attributes(resource),
            monthly: known.and_then(|k| k.after.as_ref()).map(Into::into).or(free),
            unpriced_why: unknown.map(|u| u.reason.clone()),
            findings: findings(record, &resource.address).count() as u64,
        }
    })
}

fn attributes(resource: &Resource) -> Vec<ShownAttribute> {
    let shown = |attribute: &Attribute| {
        let mut text = match attribute.shown() {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        if text.len() > VALUE_SHOWN {
            let end = (0..=VALUE_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        text
    };
    resource.attributes.iter().map(|(name, a)| ShownAttribute { name: name.clone(), value: shown(a) }).collect()
}

/// What is priced and neither listed nor unknown costs nothing.
fn nothing(currency: &str) -> Money {
    Money { amount: "0".to_owned(), currency: currency.to_owned() }
}

/// `file:line` or `file:line:column`.
fn place(text: &str) -> FilePlace {
    let split =
        |text: &str| text.rsplit_once(':').and_then(|(file, n)| Some((file.to_owned(), n.parse::<u32>().ok()?)));
    match split(text).map(|(file, last)| split(&file).unwrap_or((file, last))) {
        Some((file, line)) => FilePlace { file, line },
        None => FilePlace { file: text.to_owned(), line: 0 },
    }
}

fn change(record: &Record, cost: Option<&At<CostEstimated>>, fact: &ResourceChange) -> PlanChange {
    let known = cost.and_then(|c| c.fact.resources.iter().find(|r| r.address == fact.address));
    let unknown = cost.and_then(|c| c.fact.unknown.iter().find(|u| u.address == fact.address));
    let free = cost.filter(|_| known.is_none() && unknown.is_none()).map(|c| nothing(&c.fact.after.currency));
    let (made, gone) = (fact.action == Planned::Create, fact.action == Planned::Delete);
    let attribute = |name: &String| ChangedAttribute { name: name.clone(), before: None, after: None };
    PlanChange {
        address: fact.address.clone(),
        kind: fact.kind.clone(),
        action: fact.action.into(),
        place: place(&fact.place),
        why: None,
        attributes: fact.attributes.iter().map(attribute).collect(),
        before: known.and_then(|k| k.before.as_ref()).map(Into::into).or_else(|| free.clone().filter(|_| !made)),
        after: known.and_then(|k| k.after.as_ref()).map(Into::into).or_else(|| free.clone().filter(|_| !gone)),
        unpriced_why: unknown.map(|u| u.reason.clone()),
        policy: findings(record, &fact.address)
            .map(|f| PolicyNote { rule: f.rule.clone(), severity: f.severity.into(), title: f.title.clone() })
            .collect(),
    }
}

fn plan(record: &Record, plan: &At<PlanFinished>) -> InfraPlan {
    let stages = &record.stages;
    let fact = &plan.fact;
    let digest = fact.plan.to_string();
    let cost = stages.costs.get(&digest);
    let gate = stages.gate_of(&digest);
    let apply = stages.applies.get(&(fact.environment.to_string(), fact.root.clone()));
    let state = match apply.filter(|a| a.seq > plan.seq) {
        Some(a) if a.fact.plan != fact.plan => PlanState::Stale,
        Some(a) if a.fact.failed.is_empty() => PlanState::Applied,
        Some(_) => PlanState::Failed,
        None if gate.is_some_and(|g| g.fact.answer == "deny") => PlanState::Refused,
        None => PlanState::Proposed,
    };
    let counted = fact.counts;
    let all = u64::from(counted.create + counted.update + counted.replace + counted.delete);
    InfraPlan {
        plan: digest,
        environment: fact.environment.to_string(),
        root: fact.root.clone(),
        engine: fact.engine.clone(),
        at: plan.at.into(),
        seq: plan.seq,
        by: fact.by.to_string(),
        sha: fact.sha.as_ref().map(ToString::to_string),
        state,
        counts: counted.into(),
        changes: fact.changes.iter().map(|c| change(record, cost, c)).collect(),
        changes_omitted: all.saturating_sub(fact.changes.len() as u64),
        before: cost.map(|c| (&c.fact.before).into()),
        after: cost.map(|c| (&c.fact.after).into()),
        unpriced: cost
            .map(|c| {
                c.fact
                    .unknown
                    .iter()
                    .map(|u| Unpriced { address: u.address.clone(), reason: u.reason.clone() })
                    .collect()
            })
            .unwrap_or_default(),
        gate: GateState {
            answer: gate.map_or("unknown", |g| g.fact.answer.as_str()).into(),
            reasons: gate.map(|g| g.fact.reasons.clone()).unwrap_or_default(),
            seq: gate.map(|g| g.seq),
        },
    }
}

fn drift(record: &Record) -> Vec<DriftCheck> {
    let checks = record.stages.drift.values();
    checks
        .map(|check| DriftCheck {
            environment: check.fact.environment.to_string(),
            root: check.fact.root.clone(),
            at: check.at.into(),
            seq: check.seq,
            changes: check.fact.changes.iter().map(|c| change(record, None, c)).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_and_a_line() {
        for (text, file, line) in [
            ("infra/main.tf:34:1", "infra/main.tf", 34),
            ("infra/main.tf:34", "infra/main.tf", 34),
            ("infra/main.tf", "infra/main.tf", 0),
            ("a:b.tf:7:2", "a:b.tf", 7),
        ] {
            assert_eq!(place(text), FilePlace { file: file.to_owned(), line }, "{text}");
        }
    }
}
