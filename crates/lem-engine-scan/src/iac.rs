//! Infrastructure rules over an evaluated resource graph.
//!
//! In: a [`ResourceGraph`], whatever language described it. Out: findings, and what could not be judged with the value
//! that is missing. Rules are the tables under `rules/`; about a dozen questions that no operator expresses are
//! predicates in Rust. The logic is Kleene's: an unknown value makes a rule unknown only where it decides.

mod eval;
mod firewall;
mod graph;
mod kubernetes;
mod network;
mod policy;
mod predicate;
mod rule;
mod truth;
mod view;

pub use rule::{Absent, Clause, Operator, Rule, RuleSet, Scope, Test};

use crate::{Found, Identity, Report, Skipped, Unknown};
use eval::{Subject, holds};
use graph::{Links, base};
use lem_model::finding::{Scanner, Subject as About};
use lem_model::resource::{Attribute, Language, Resource, ResourceAction, ResourceGraph};
use std::collections::HashSet;
use truth::Truth;
use view::View;

/// Judges every resource of a graph. Instances of one block that fail alike give one finding.
pub fn judge(graph: &ResourceGraph, rules: &RuleSet) -> Report {
    let links = Links::of_graph(graph);
    let mut report = Report::default();
    let mut seen = HashSet::new();
    for resource in graph.resources.iter().filter(|r| r.action != Some(ResourceAction::Delete)) {
        for (rule, clause) in rules.of_kind(&resource.kind).filter(|(_, clause)| clause.data == resource.data) {
            let subject = Subject { links: &links, resource, view: View::of(resource) };
            let Some(truth) = decide(clause, subject) else { continue };
            let fails = match truth {
                Truth::True => continue,
                Truth::False => None,
                Truth::Unknown(why) => Some(why),
            };
            if !seen.insert((rule.id.as_str(), base(&resource.address), fails.is_none())) {
                continue;
            }
            match fails {
                None => report.found.push(found(rule, clause, resource)),
                Some(why) => report.unknown.push(unknown(rule, clause, resource, why)),
            }
        }
    }
    report
}

/// `None` when the clause does not judge this resource.
fn decide(clause: &Clause, subject: Subject<'_>) -> Option<Truth> {
    match clause.when.as_ref().map(|when| holds(when, subject)) {
        Some(Truth::False) => return None,
        Some(unknown @ Truth::Unknown(_)) => return Some(unknown),
        Some(Truth::True) | None => {}
    }
    match clause.scope {
        Scope::Resource => Some(holds(&clause.pass, subject)),
        Scope::Pod => Some(match kubernetes::pod(subject) {
            Ok(Some(pod)) => holds(&clause.pass, subject.narrowed(pod)),
            Ok(None) => holds(&clause.pass, subject.narrowed(&EMPTY)),
            Err(why) => Truth::Unknown(why),
        }),
        Scope::Containers => match kubernetes::containers(subject) {
            Ok(containers) if containers.is_empty() => None,
            Ok(containers) => Some(Truth::all(containers.into_iter().map(|c| match c.revealed() {
                Attribute::Unknown(why) => Truth::Unknown(why.clone()),
                _ => holds(&clause.pass, subject.narrowed(c)),
            }))),
            Err(why) => Some(Truth::Unknown(why)),
        },
    }
}

/// Stands in for a pod that is not written.
const EMPTY: Attribute = Attribute::Null;

fn place(clause: &Clause, resource: &Resource) -> lem_model::Place {
    let path = clause.pass.path().unwrap_or("");
    let written = clause.scope == Scope::Resource && resource.language == Language::Terraform;
    if written { resource.place_of(path).clone() } else { resource.place.clone() }
}

fn found(rule: &Rule, clause: &Clause, resource: &Resource) -> Found {
    let mut references: Vec<String> = resource.calls.iter().map(|call| format!("called at {call}")).collect();
    let at = place(clause, resource);
    if at != resource.place {
        references.push(format!("written at {at}"));
    }
    Found {
        rule: rule.id.clone(),
        aliases: rule.aliases.clone(),
        scanner: Scanner::Infrastructure,
        severity: rule.severity,
        unscored: false,
        title: rule.title.clone(),
        subject: About::Resource { address: resource.address.clone() },
        place: resource.place.clone(),
        end_line: resource.end_line.max(resource.place.line),
        fix: Some(rule.fix.clone()),
        references,
        identity: Identity { kind: "resource", key: base(&resource.address), discriminator: resource.kind.clone() },
        skipped: annotation(rule, resource),
    }
}

fn unknown(rule: &Rule, clause: &Clause, resource: &Resource, why: String) -> Unknown {
    Unknown { rule: rule.id.clone(), subject: base(&resource.address), place: place(clause, resource), why }
}

/// A skip written as data: an annotation `checkov.io/skip1: CKV_K8S_20=reason`, or `Metadata.checkov.skip` of a
/// CloudFormation resource.
fn annotation(rule: &Rule, resource: &Resource) -> Option<Skipped> {
    let named = |id: &str| rule.id == id || rule.aliases.iter().any(|alias| alias == id);
    let fields = View::Fields(&resource.attributes);
    if resource.language == Language::Kubernetes {
        let Ok(maps) = fields.items("metadata.annotations") else { return None };
        let Some(Attribute::Map(map)) = maps.first() else { return None };
        let skips = map.iter().filter(|(key, _)| key.starts_with("checkov.io/skip")).filter_map(|(_, v)| v.as_str());
        let mut skips = skips;
        return skips.find_map(|text| {
            let (id, reason) = text.split_once('=').unwrap_or((text, ""));
            named(id.trim()).then(|| skipped(reason))
        });
    }
    let skips = fields.items("Metadata.checkov.skip").ok()?;
    skips
        .into_iter()
        .find(|s| s.get("id").and_then(Attribute::as_str).is_some_and(named))
        .map(|s| skipped(s.get("comment").and_then(Attribute::as_str).unwrap_or_default()))
}

fn skipped(reason: &str) -> Skipped {
    Skipped { reason: (!reason.trim().is_empty()).then(|| reason.trim().to_owned()), expires: None }
}
