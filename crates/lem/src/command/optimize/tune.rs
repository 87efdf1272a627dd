//! `lem tune`: recommendations with their standing, and what is done about them.

use super::Desk;
use crate::cli::{Cli, Tune};
use crate::command::ledger::failed;
use crate::exit::{Failure, negative, usage};
use crate::print::{document, table};
use lem_ledger::{EventLog, Filter, Ledger, MAX_READ, Projection, Recorder};
use lem_model::Actor;
use lem_model::fact::RecommendationMoved;
use lem_optimize::plan::lifecycle::{Recommendation, Standing};
use lem_optimize::{OptimizeState, patch, text};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

struct Known {
    recorder: Recorder,
    state: OptimizeState,
}

/// Runs one of them; `list` when none is named.
pub(crate) async fn tune(cli: &Cli, command: Option<&Tune>, directory: &Path) -> Result<(), Failure> {
    let desk = Desk::open(directory)?;
    let Some(known) = known(&desk).await? else {
        return match command {
            None | Some(Tune::List) => {
                document(cli.output, &json!([]), |_| {
                    "no recommendation yet: there is no ledger here; lem up starts one and watches\n".to_owned()
                });
                Ok(())
            }
            _ => Err(negative("there is no ledger here, and so no recommendation")),
        };
    };
    match command {
        None | Some(Tune::List) => {
            list(cli, &known);
            Ok(())
        }
        Some(Tune::Show { id }) => {
            let found = known.find(id)?;
            document(cli.output, &json!({"standing": found.standing, "advice": found.advice}), |_| shown(found));
            Ok(())
        }
        Some(Tune::Apply { id }) => apply(cli, &desk, &known, id).await,
        Some(Tune::Dismiss { id, reason }) => {
            let found = known.find(id)?;
            known.move_to(found, Standing::Dismissed, reason).await?;
            document(cli.output, &json!({"recommendation": id, "standing": "dismissed"}), |_| {
                format!("{id} dismissed\n")
            });
            Ok(())
        }
    }
}

/// What the ledger says; `None` when there is none.
async fn known(desk: &Desk) -> Result<Option<Known>, Failure> {
    if desk.settings.require_ledger().is_err() {
        return Ok(None);
    }
    let log: Arc<dyn EventLog> = Ledger::open(desk.settings.ledger()).await.map_err(failed)?;
    let (mut state, mut next) = (OptimizeState::default(), 0);
    loop {
        let page = log.read(next, &Filter::all(), MAX_READ).await.map_err(failed)?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        for event in &page {
            state.apply(event);
        }
    }
    Ok(Some(Known { recorder: Recorder::new(log, "/lem/cli"), state }))
}

impl Known {
    fn find(&self, id: &str) -> Result<&Recommendation, Failure> {
        self.state
            .recommendations
            .get(id)
            .ok_or_else(|| usage(format!("there is no recommendation {id}; lem tune lists them")))
    }

    async fn move_to(&self, found: &Recommendation, standing: Standing, why: &str) -> Result<(), Failure> {
        if !found.standing.may_become(standing) {
            let id = &found.advice.recommendation;
            return Err(negative(format!("{id} is {} and cannot become {standing}", found.standing)));
        }
        let fact = RecommendationMoved {
            recommendation: found.advice.recommendation.clone(),
            standing: standing.word().to_owned(),
            why: why.to_owned(),
            by: Actor::new(format!("person:{}", std::env::var("USER").unwrap_or_else(|_| "operator".to_owned()))),
        };
        self.recorder.record(&fact).await.map_err(failed)?;
        Ok(())
    }
}

fn list(cli: &Cli, known: &Known) {
    let all = known.state.recommendations.all();
    let row = |r: &&Recommendation| {
        let delta = r.advice.monthly_delta.as_ref().map_or("unknown".to_owned(), text::signed);
        let patch = if r.advice.patch.is_some() { "yes" } else { "no" };
        let id = r.advice.recommendation.clone();
        vec![id, r.standing.to_string(), delta, patch.to_owned(), r.advice.sentence.clone()]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let value: Vec<Value> = all.iter().map(|r| json!({"standing": r.standing, "advice": r.advice})).collect();
    document(cli.output, &json!(value), |_| {
        let mut out = if rows.is_empty() {
            "no recommendation yet\n".to_owned()
        } else {
            table(&["RECOMMENDATION", "STANDING", "A MONTH", "PATCH", "WHAT TO DO"], &rows)
        };
        for (analysis, grown) in known.state.slow() {
            let seconds = analysis.path_ms as f64 / 1000.0;
            out +=
                &format!("\n{}: critical path {seconds:.1} s over {}\n", analysis.pipeline, analysis.path.join(" > "));
            for step in analysis.slowest.iter().take(3) {
                out += &format!("  {} in {}: {:.1} s\n", step.name, step.job, step.duration_ms as f64 / 1000.0);
            }
            for growth in grown {
                out += &format!(
                    "  {} grew from {:.0} % to {:.0} %\n",
                    growth.job, growth.before_percent, growth.now_percent
                );
            }
        }
        out
    });
}

fn shown(found: &Recommendation) -> String {
    let advice = &found.advice;
    let delta = advice.monthly_delta.as_ref().map_or("unknown".to_owned(), text::signed);
    let mut out = format!(
        "{} {} since {}\n{}\n\ncause  {}\nmonth  {delta}\nrisk   {}\n",
        advice.recommendation, found.standing, found.since, advice.sentence, advice.cause, advice.risk
    );
    for evidence in &advice.evidence {
        out += &format!("- {evidence}\n");
    }
    match &advice.patch {
        Some(patch) => out += &format!("\n{patch}"),
        None => out += "\nno patch\n",
    }
    out
}

async fn apply(cli: &Cli, desk: &Desk, known: &Known, id: &str) -> Result<(), Failure> {
    let found = known.find(id)?;
    let Some(patch) = &found.advice.patch else { return Err(negative(format!("{id} has no patch"))) };
    let mut changed = vec![];
    for file in patch::files(patch) {
        let path = inside(&desk.root, &file)?;
        let old = std::fs::read_to_string(&path).map_err(|e| usage(format!("cannot read {file}: {e}")))?;
        let new = patch::apply(&file, &old, patch).map_err(|e| negative(e.to_string()))?;
        if new != old {
            super::put(&path, &new)?;
            changed.push(file);
        }
    }
    if found.standing.is_open() {
        known.move_to(found, Standing::Applied, "its lines were written into the file").await?;
    }
    let value = json!({"recommendation": id, "changed": changed});
    document(cli.output, &value, |_| {
        if changed.is_empty() {
            format!("{id} stands in the files already\n")
        } else {
            format!("{id} changed {}; look at it and commit it\n", changed.join(", "))
        }
    });
    Ok(())
}

/// A path of a patch stays inside the repository.
fn inside(root: &Path, file: &str) -> Result<std::path::PathBuf, Failure> {
    let plain = Path::new(file).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    if plain { Ok(root.join(file)) } else { Err(usage(format!("{file} leaves the repository"))) }
}
