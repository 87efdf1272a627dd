//! Documents: why a job runs, the graph of a plan, the report of a run.

use crate::error::PipelineError;
use crate::machine::{Before, Need, NodeResult, Scope};
use crate::plan::Plan;
use crate::views::{RunView, Stage};
use indexmap::IndexMap;
use lem_model::fact::{Outcome, PlannedJob};
use std::fmt::Write as _;

/// Why a job runs or not: a chain of sentences, each with its place.
pub fn explain(plan: &Plan, job: &str) -> Result<Vec<String>, PipelineError> {
    let find = |id: &str| plan.nodes.iter().position(|n| n.id.eq_ignore_ascii_case(id));
    let wanted = job.split(" (").next().unwrap_or(job);
    let node = find(wanted).ok_or_else(|| PipelineError::NoJob(job.to_owned()))?;
    let mut lines = vec![];
    let event = plan.event();
    lines.push(format!("event {} on {} starts {}", event.name, event.git_ref, plan.file));
    let none = IndexMap::new();
    let mut order = vec![];
    after_needs(plan, node, &mut order);
    let mut results: Vec<Option<NodeResult>> = vec![None; plan.nodes.len()];
    for at in order {
        let this = &plan.nodes[at];
        let needs: Vec<Need<'_>> = this
            .needs
            .iter()
            .map(|n| Need {
                id: &plan.nodes[*n].id,
                result: results[*n].unwrap_or(NodeResult::Success),
                outputs: &none,
                place: &plan.nodes[*n].place,
            })
            .collect();
        let before = match needs.iter().map(|n| n.result).collect::<Vec<_>>() {
            all if all.contains(&NodeResult::Failure) => Before::Failure,
            all if all.iter().all(|r| *r == NodeResult::Success) => Before::Success,
            _ => Before::Skipped,
        };
        let (result, line) = match plan.rules().verdict(at, &Scope { needs, before }) {
            _ if !this.blocked.is_empty() => {
                let why: Vec<_> = this.blocked.iter().map(|d| format!("{} ({})", d.message, d.place)).collect();
                (NodeResult::Failure, format!("{} is blocked: {}", this.id, why.join("; ")))
            }
            Ok(verdict) if verdict.run => (NodeResult::Success, format!("{} runs: {}", this.id, verdict.why)),
            Ok(verdict) => (NodeResult::Skipped, format!("{} is skipped: {}", this.id, verdict.why)),
            Err(why) => (NodeResult::Failure, format!("{} fails: {why}", this.id)),
        };
        results[at] = Some(result);
        lines.push(format!("{line} [{}]", this.place));
    }
    Ok(lines)
}

fn after_needs(plan: &Plan, node: usize, order: &mut Vec<usize>) {
    if order.contains(&node) {
        return;
    }
    for need in &plan.nodes[node].needs {
        after_needs(plan, *need, order);
    }
    order.push(node);
}

/// Why a job of a past run ran or not.
pub fn explain_past(run: &RunView, job: &str) -> Result<Vec<String>, PipelineError> {
    let found = run.jobs.values().filter(|j| j.key == job || j.key.split(" (").next() == Some(job)).collect::<Vec<_>>();
    if found.is_empty() {
        return Err(PipelineError::NoJob(job.to_owned()));
    }
    Ok(found
        .into_iter()
        .map(|job| match (&job.why_skipped, job.conclusion, &job.errors) {
            (Some(why), _, _) => format!("{} did not run: {why}", job.key),
            (None, Some(outcome), Some(errors)) => format!("{} ran: {}: {errors}", job.key, word(outcome)),
            (None, Some(outcome), None) => format!("{} ran: {}", job.key, word(outcome)),
            (None, None, _) => format!("{} has not ended", job.key),
        })
        .collect())
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Cancel => "cancelled",
        Outcome::Error => "error",
    }
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    /// Levels of jobs, one per line.
    Text,
    /// Mermaid.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// The jobs of a plan and what they wait for.
pub fn graph(jobs: &[PlannedJob], format: GraphFormat) -> String {
    let legs = |id: &str| -> Vec<usize> {
        let is = |j: &PlannedJob| j.job == id || j.job.strip_prefix(id).is_some_and(|rest| rest.starts_with(" ("));
        jobs.iter().enumerate().filter(|(_, j)| is(j)).map(|(i, _)| i).collect()
    };
    let edges: Vec<(usize, usize)> = jobs
        .iter()
        .enumerate()
        .flat_map(|(to, job)| job.needs.iter().flat_map(|need| legs(need)).map(move |from| (from, to)))
        .collect();
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut out = String::new();
    match format {
        GraphFormat::Dot => {
            out.push_str("digraph pipeline {\n  rankdir=LR;\n");
            for (i, job) in jobs.iter().enumerate() {
                let _ = writeln!(out, "  n{i} [label=\"{}\"];", quoted(&job.name));
            }
            for (a, b) in &edges {
                let _ = writeln!(out, "  n{a} -> n{b};");
            }
            out.push_str("}\n");
        }
        GraphFormat::Mermaid => {
            out.push_str("graph LR\n");
            for (i, job) in jobs.iter().enumerate() {
                let _ = writeln!(out, "  n{i}[\"{}\"]", job.name.replace('"', "#quot;"));
            }
            for (a, b) in &edges {
                let _ = writeln!(out, "  n{a} --> n{b}");
            }
        }
        GraphFormat::Text => {
            let mut level = vec![0_usize; jobs.len()];
            for _ in 0..jobs.len() {
                for (a, b) in &edges {
                    level[*b] = level[*b].max(level[*a] + 1).min(jobs.len());
                }
            }
            for at in 0..=level.iter().copied().max().unwrap_or(0) {
                for (i, job) in jobs.iter().enumerate().filter(|(i, _)| level[*i] == at) {
                    let needs =
                        if job.needs.is_empty() { String::new() } else { format!("  <- {}", job.needs.join(", ")) };
                    let _ = writeln!(out, "{}{}{needs}", "  ".repeat(level[i]), job.name);
                }
            }
        }
    }
    out
}

/// A run as Markdown.
pub fn run_report(run: &RunView) -> String {
    let mut out = String::new();
    let state = match (run.stage, run.outcome) {
        (_, Some(outcome)) => word(outcome),
        (Stage::Queued, _) => "queued",
        _ => "running",
    };
    let _ = writeln!(out, "# {}: {state}\n", run.pipeline);
    let _ = writeln!(out, "{} on {} at {}, {} ms.\n", run.event, run.branch, run.sha.short(), run.duration_ms);
    for mark in &run.marks {
        let _ = writeln!(out, "> {mark}\n");
    }
    if let Some(errors) = &run.errors {
        let _ = writeln!(out, "{errors}\n");
    }
    out.push_str("| job | result | time | note |\n|---|---|---|---|\n");
    for job in run.jobs.values() {
        let result = match (job.stage, job.outcome) {
            (Stage::Skipped, _) => "skipped",
            (_, Some(outcome)) => word(outcome),
            _ => "waiting",
        };
        let note = job.why_skipped.as_deref().or(job.errors.as_deref()).unwrap_or_default();
        let _ = writeln!(out, "| {} | {result} | {} ms | {} |", job.name, job.duration_ms, note.replace('|', "\\|"));
    }
    let (path, length) = run.critical_path();
    if path.len() > 1 {
        let _ = writeln!(out, "\nCritical path: {} ({length} ms).", path.join(" → "));
    }
    if !run.tests.is_empty() {
        out.push_str("\n| suite | passed | failed | skipped |\n|---|---|---|---|\n");
        for suite in &run.tests {
            let _ = writeln!(out, "| {} | {} | {} | {} |", suite.suite, suite.passed, suite.failed, suite.skipped);
        }
    }
    for artifact in &run.artifacts {
        let _ = writeln!(out, "\nArtifact {}: {} ({} bytes).", artifact.name, artifact.digest, artifact.size_bytes);
    }
    out
}
