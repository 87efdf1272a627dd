//! `lem pipeline`: looks into pipelines without running them.

use super::run::{failed, pipeline_config, relative};
use crate::cli::{Cli, GraphFormat, Pipeline as Arguments};
use crate::exit::{Failure, invalid, usage};
use crate::settings::Settings;
use lem_engine_gha::expr::{Context, eval};
use lem_engine_yaml::{Options, parse_one};
use lem_model::Diagnostic;
use lem_pipeline::report::{self, explain, graph};
use lem_pipeline::{Pipeline, Plan, RunRequest, Tree};
use serde_json::{Value, json};
use std::path::Path;

/// Runs one of them.
pub(crate) fn pipeline(cli: &Cli, arguments: &Arguments, directory: &Path) -> Result<(), Failure> {
    match arguments {
        Arguments::Explain { job, file, event } => {
            let plans = plans(directory, file.as_deref(), event, Some(job.clone()))?;
            let lines = plans.iter().map(|p| explain(p, job)).collect::<Result<Vec<_>, _>>().map_err(failed)?.concat();
            crate::print::document(cli.output, &json!(lines), |_| lines.iter().map(|l| format!("{l}\n")).collect());
            Ok(())
        }
        Arguments::Graph { file, format } => {
            for plan in plans(directory, file.as_deref(), "push", None)? {
                print!("{}", drawn(&plan, *format));
            }
            Ok(())
        }
        Arguments::Eval { dialect, expr, context } => evaluate(dialect, expr, context.as_deref()),
    }
}

fn drawn(plan: &Plan, format: GraphFormat) -> String {
    match format {
        GraphFormat::Text => graph(&plan.jobs, report::GraphFormat::Text),
        GraphFormat::Dot => graph(&plan.jobs, report::GraphFormat::Dot),
        GraphFormat::Mermaid => graph(&plan.jobs, report::GraphFormat::Mermaid),
        GraphFormat::Json => {
            let jobs: Vec<Value> =
                plan.jobs.iter().map(|j| json!({"job": j.job, "name": j.name, "needs": j.needs})).collect();
            format!("{:#}\n", json!({"file": plan.file, "jobs": jobs}))
        }
    }
}

fn plans(directory: &Path, file: Option<&Path>, event: &str, job: Option<String>) -> Result<Vec<Plan>, Failure> {
    let settings = Settings::read(directory, None)?;
    let root = settings.project.root.clone();
    let pipeline = Pipeline::open(&root, &settings.data.join("pipeline"), pipeline_config(&settings)?);
    let request = RunRequest {
        files: file.iter().map(|f| relative(f, directory, &root)).collect(),
        event: event.to_owned(),
        job,
        tree: Tree::Working,
        ..RunRequest::default()
    };
    let prepared = pipeline.prepare(&request).map_err(failed)?;
    for (file, why) in &prepared.passed {
        eprintln!("{file} does not run: {why}");
    }
    Ok(prepared.plans)
}

/// JSON on standard output in both cases; an error in the expression is exit code 2.
fn evaluate(dialect: &str, expr: &str, context: Option<&Path>) -> Result<(), Failure> {
    if dialect != "github" {
        return Err(usage(format!("dialect {dialect:?} is not read yet; github is")));
    }
    let context = match context {
        None => Context::new(),
        Some(path) => {
            let text = lem_source::read_file(path)?;
            let (node, found) = parse_one(&text, &path.display().to_string(), Options::default());
            if found.iter().any(Diagnostic::is_error) {
                return Err(invalid(found));
            }
            let json = node.map_or(json!({}), |n| n.to_json());
            Context::from_json(&json).map_err(|e| usage(format!("{}: {e}", path.display())))?
        }
    };
    match eval(expr, &context) {
        Ok(value) => {
            println!("{:#}", value.to_kind_json());
            Ok(())
        }
        Err(error) => {
            println!("{:#}", json!({ "error": error }));
            Err(usage(""))
        }
    }
}
