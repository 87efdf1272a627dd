//! What the stages beside provision say about a plan: what it costs, what is unsafe in it, and whether their gates let it
//! be applied. Each sentence stands under the resource it is about.

use crate::command::optimize::Desk;
use crate::command::secure;
use crate::exit::{Failure, invalid};
use lem_engine_scan::files::Tree;
use lem_engine_scan::iac::{RuleSet, judge};
use lem_engine_scan::skip::Skips;
use lem_engine_scan::{Found, Unknown};
use lem_model::Diagnostic;
use lem_model::finding::{Finding, FindingSeverity, Subject};
use lem_model::port::GateAnswer;
use lem_model::resource::{ResourceAction, ResourceGraph};
use lem_optimize::plan::budget::Standing;
use lem_optimize::plan::estimate::{Estimate, Line, Side};
use lem_optimize::text;
use lem_provision::render::Notes;
use lem_secure::plan::{Question, Scanned, Verdict, decide, findings};
use lem_secure::report::subject;
use lem_secure::{GateMode, Policy};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Values that could not be judged and are named in a text; more are counted.
const MAX_UNKNOWN: usize = 10;
/// Reasons of one resource that are written out.
const MAX_REASONS: usize = 5;

/// A gate and what it says.
pub(super) struct Gate {
    /// `provision` for the policy, `budget`.
    pub(super) name: &'static str,
    /// What it is called for people.
    pub(super) title: &'static str,
    /// Flag that passes it all the same.
    pub(super) flag: &'static str,
    /// What it says.
    pub(super) verdict: Verdict,
    /// Whether a denial stops an apply.
    pub(super) required: bool,
}

/// Everything that is said about one plan.
pub(super) struct Review {
    estimate: Estimate,
    budgets: Vec<Standing>,
    findings: Vec<Finding>,
    unknown: Vec<Unknown>,
    policy: Policy,
}

impl Review {
    /// Prices and judges the resources of a plan.
    pub(super) fn of(directory: &Path, graph: &ResourceGraph) -> Result<Self, Failure> {
        let desk = Desk::open(directory)?;
        let (estimate, mut said) = desk.pricer.price(graph);
        said.extend(desk.pricer.book().1);
        let own = desk.pricer.config.budgets.iter().filter(|b| b.covers(graph.environment.as_ref()));
        let budgets = own.map(|b| b.judge(&estimate)).collect();

        let (policy, found) = secure::policy(directory)?;
        if found.iter().any(Diagnostic::is_error) {
            return Err(invalid(found));
        }
        said.extend(found);
        let mut report = judge(graph, RuleSet::embedded());
        said.extend(set_aside(&desk.root, &mut report.found));
        report.unknown.sort();
        report.unknown.dedup();
        let owners = lem_secure::owners::Owners::of(&desk.root);
        let findings = findings(report.found, &policy.exceptions, |path| owners.owner(path), secure::today());
        let mut heard = BTreeSet::new();
        for diagnostic in said.iter().map(ToString::to_string).filter(|d| heard.insert(d.clone())) {
            eprintln!("{diagnostic}");
        }
        Ok(Self { estimate, budgets, findings, unknown: report.unknown, policy })
    }

    /// The gates an apply must pass.
    pub(super) fn gates(&self) -> Vec<Gate> {
        let open = self.findings.iter().filter(|f| f.is_open());
        let scanned = Scanned {
            // Rules over resources need no advisories, so these are as fresh as can be.
            advisories: Some(secure::today()),
            open: open
                .map(|f| (f.severity, format!("{} on {}: {} ({})", f.rule, subject(f), f.title, f.place)))
                .collect(),
            omitted: 0,
        };
        let question = Question { provenance: true, known: true, scanned: Some(scanned), ..Question::default() };
        let policy = Gate {
            name: "provision",
            title: "the policy",
            flag: "--override-policy",
            verdict: decide(&question, self.policy.threshold, i32::MAX, secure::today()),
            required: self.policy.gate == GateMode::Required,
        };
        let over: Vec<String> = self
            .budgets
            .iter()
            .filter_map(|standing| match &standing.answer {
                GateAnswer::Deny(why) => Some(why.clone()),
                GateAnswer::Allow => None,
            })
            .collect();
        let verdict = if over.is_empty() { Verdict::Allow } else { Verdict::Deny(over) };
        let mut gates = vec![policy];
        if !self.budgets.is_empty() {
            gates.push(Gate { name: "budget", title: "a budget", flag: "--override-budget", verdict, required: true });
        }
        gates
    }

    /// What the text of a plan says.
    pub(super) fn notes(&self) -> Notes {
        let mut notes = Notes::default();
        for line in self.estimate.lines.iter().filter(|l| !l.free && changes(l)) {
            notes.resources.entry(line.address.clone()).or_default().extend(self.cost_lines(line));
        }
        for finding in self.findings.iter().filter(|f| f.is_open()) {
            let Subject::Resource { address } = &finding.subject else { continue };
            let lines = notes.resources.entry(address.clone()).or_default();
            let at = &finding.place;
            lines.push(format!("{}: {} ({}, {at})", finding.severity, finding.title, finding.rule));
            lines.extend(finding.fix.iter().map(|fix| format!("  fix: {fix}")));
        }
        notes.end.push(self.cost_summary());
        notes.end.push(self.findings_summary());
        for unknown in self.unknown.iter().take(MAX_UNKNOWN) {
            notes.end.push(format!("  unknown: {} of {}: {}", unknown.rule, unknown.subject, unknown.why));
        }
        for standing in &self.budgets {
            if let Some(percent) = standing.warning() {
                notes.end.push(format!("{percent} % of budget {} is reached", standing.budget.name));
            }
        }
        for gate in self.gates().iter().filter(|g| g.verdict != Verdict::Allow) {
            let word = if gate.required { "lem apply will be refused by" } else { "lem apply will go on, against" };
            notes.end.push(format!("{word} {}: {}", gate.title, gate.verdict.reasons().join("; ")));
        }
        notes
    }

    fn cost_lines(&self, line: &Line) -> Vec<String> {
        let mut out = vec![];
        match line.delta(&self.estimate.currency) {
            Some(delta) => {
                let part = if line.unknown().is_empty() { "" } else { ", in part" };
                out.push(format!("cost: {}/month{part}", text::signed(&delta)));
            }
            None => out.push("cost: unknown".to_owned()),
        }
        let reasons = line.unknown();
        out.extend(reasons.iter().take(MAX_REASONS).map(|why| format!("  unknown: {why}")));
        if reasons.len() > MAX_REASONS {
            out.push(format!("  and {} more; --output json has all of them", reasons.len() - MAX_REASONS));
        }
        out
    }

    fn cost_summary(&self) -> String {
        if self.estimate.lines.iter().all(|l| l.free) {
            return "Cost: nothing in this plan is billed.".to_owned();
        }
        format!("Cost: {}", text::change(&self.estimate))
    }

    fn findings_summary(&self) -> String {
        let counts = self.counts();
        let counts: Vec<String> = counts.iter().map(|(severity, n)| format!("{n} {severity}")).collect();
        let excepted = self.findings.iter().filter(|f| !f.is_open()).count();
        let mut out =
            if counts.is_empty() { "Findings: none".to_owned() } else { format!("Findings: {}", counts.join(", ")) };
        if excepted > 0 {
            out += &format!(", {excepted} excepted");
        }
        if !self.unknown.is_empty() {
            out += &format!(", {} could not be judged", self.unknown.len());
        }
        out + "."
    }

    /// Open findings by severity, worst first.
    fn counts(&self) -> Vec<(FindingSeverity, usize)> {
        use FindingSeverity::{Critical, High, Info, Low, Medium};
        let count = |s| self.findings.iter().filter(|f| f.is_open() && f.severity == s).count();
        [Critical, High, Medium, Low, Info].into_iter().map(|s| (s, count(s))).filter(|(_, n)| *n > 0).collect()
    }

    /// Puts it into a plan's document: under `lem` of each resource and of the whole.
    pub(super) fn put_into(&self, document: &mut Value) {
        let lines: BTreeMap<&str, &Line> =
            self.estimate.lines.iter().filter(|l| !l.free).map(|l| (l.address.as_str(), l)).collect();
        let changes = document.get_mut("resource_changes").and_then(Value::as_array_mut);
        for change in changes.into_iter().flatten() {
            let address = change["address"].as_str().unwrap_or_default().to_owned();
            let about = |f: &&Finding| matches!(&f.subject, Subject::Resource { address: a } if *a == address);
            let found: Vec<&Finding> = self.findings.iter().filter(about).collect();
            let cost = lines.get(address.as_str()).map(|line| self.cost_value(line));
            if cost.is_some() || !found.is_empty() {
                change["lem"] = json!({ "cost": cost, "findings": found });
            }
        }
        let unknown: Vec<Value> = self
            .unknown
            .iter()
            .map(|u| json!({ "rule": u.rule, "subject": u.subject, "place": u.place, "why": u.why }))
            .collect();
        let gates: Vec<Value> = self
            .gates()
            .iter()
            .map(|g| {
                json!({ "gate": g.name, "answer": g.verdict.word(), "reasons": g.verdict.reasons(),
                        "required": g.required })
            })
            .collect();
        let unpriced: Vec<&str> = self.estimate.unpriced().iter().map(|l| l.address.as_str()).collect();
        document["lem"] = json!({
            "cost": { "delta": self.estimate.delta(), "before": self.estimate.known_before(),
                      "after": self.estimate.known_after(), "unpriced": unpriced,
                      "unknown": self.estimate.unknown(), "prices": self.estimate.prices },
            "findings": self.counts().iter().map(|(s, n)| (s.word().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
            "unknown": unknown,
            "gates": gates,
        });
    }

    fn cost_value(&self, line: &Line) -> Value {
        let known = |side: &Option<Side>| side.as_ref().and_then(Side::known);
        json!({ "delta": line.delta(&self.estimate.currency), "before": known(&line.before),
                "after": known(&line.after), "unknown": line.unknown() })
    }
}

fn changes(line: &Line) -> bool {
    !matches!(line.action, None | Some(ResourceAction::NoOp | ResourceAction::Forget))
}

/// Marks what comments in the files and lists of other tools set aside, as a scan does.
fn set_aside(root: &Path, found: &mut [Found]) -> Vec<Diagnostic> {
    if found.is_empty() {
        return vec![];
    }
    let files: BTreeSet<String> = found.iter().map(|f| f.place.file.clone()).collect();
    for file in files {
        // A place that is no file of ours has no comments.
        let Ok(text) = lem_source::read_file(&root.join(&file)) else { continue };
        let (_silent, _unused) = Skips::read(&file, &text).apply(found);
    }
    lem_secure::imports::apply(&Tree::list(root), found)
}
