//! The chapter of the stages around the delivery path: what the shop runs on, what it costs, what is unsafe about it. The
//! same functions stand behind `lem apply`, `lem drift`, `lem cost` and `lem scan`.

use super::Stage;
use super::tell::Teller;
use crate::command::secure::{database, policy};
use anyhow::{Context, Result, ensure};
use lem_engine_vault::{Method, Request};
use lem_ledger::SystemClock;
use lem_model::Team;
use lem_model::port::ResourceGraphs;
use lem_provision::apply::{Progress, Settings};
use lem_provision::plan::Options;
use lem_provision::project::Given;
use lem_provision::{Environment, Graphs};
use lem_secure::{ScanOptions, plan};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Environment the demo applies.
const ENVIRONMENT: &str = "production";
/// Folder that is planned and priced, and needs an account to be applied.
const CLOUD: &str = "infra/cloud";
/// File that somebody changes by hand.
const DRIFTED: &str = "infra/platform/generated/production/settings.json";

/// Nobody watches single resources here: the ledger's lines tell the apply.
struct Quiet;

impl Progress for Quiet {
    fn finished(&self, _: &str, _: lem_model::resource::ResourceAction, _: Option<&str>) {}
    fn line(&self, _: &str, _: &str) {}
}

/// What the chapter found, for the summary.
#[derive(Clone, Debug, Default)]
pub(super) struct Outer {
    pub(super) provision: Value,
    pub(super) secure: Value,
    pub(super) optimize: Value,
}

/// Tells the chapter.
pub(super) async fn tell(stage: &Stage, teller: &Teller) -> Result<Outer> {
    secret(stage, teller)?;
    let provision = provision(stage, teller).await?;
    let optimize = price(stage, teller).await?;
    let secure = scan(stage, teller).await?;
    Ok(Outer { provision, secure, optimize })
}

/// A secret for the pipeline: jobs get it as a lease, the log shows it masked.
fn secret(stage: &Stage, teller: &Teller) -> Result<()> {
    let value = uuid::Uuid::new_v4().simple().to_string();
    let request = Request::new(Method::Write, "secret/data/pipeline").token(stage.the_loop.token());
    let answer = stage.the_loop.vault().handle(&request.body(json!({ "data": { "PRICE_TOKEN": value } })));
    ensure!(answer.status == 200, "the secret store did not take a secret: {:?}", answer.body);
    teller.say("a secret for the pipeline is in the store: jobs get it as a lease, logs show it masked");
    Ok(())
}

async fn provision(stage: &Stage, teller: &Teller) -> Result<Value> {
    let all = stage.the_loop.environments();
    let environment = all.iter().find(|e| e.target().environment.name.as_str() == ENVIRONMENT);
    let environment = environment.context("lem.yaml names no production environment")?;
    let applied = apply(environment).await.context("the first apply")?;
    let file = stage.the_loop.root().join(DRIFTED);
    std::fs::write(&file, "{}").with_context(|| format!("cannot write {}", file.display()))?;
    teller.say(&format!("somebody changes {DRIFTED} by hand"));
    let drift = environment.drift(&Given::of_process(vec![])).await?.plan().drift.len();
    ensure!(drift > 0, "the change by hand was not seen");
    let mended = apply(environment).await.context("the apply that mends the drift")?;
    let rest = environment.drift(&Given::of_process(vec![])).await?.plan().drift.len();
    ensure!(rest == 0, "{rest} objects still differ after the apply");
    Ok(json!({ "environment": ENVIRONMENT, "created": applied, "drifted": drift, "mended": mended }))
}

/// Plans and applies; how many changes were made.
async fn apply(environment: &Environment) -> Result<u32> {
    let mut session = environment.session("apply", Duration::from_secs(5), &|_| {}).await?;
    let sealed = environment.plan_in(&session, &Given::of_process(vec![]), &Options::default()).await?;
    let settings = Settings {
        parallelism: 10,
        clock: Arc::new(SystemClock),
        progress: Arc::new(Quiet),
        stop: CancellationToken::new(),
    };
    let applied = environment.apply(&sealed, &mut session, &settings).await?;
    ensure!(applied.failed.is_empty(), "{:?}", applied.failed);
    let counts = applied.counts;
    Ok(counts.create + counts.update + counts.replace + counts.delete)
}

async fn price(stage: &Stage, teller: &Teller) -> Result<Value> {
    let graphs = Graphs.graphs(stage.the_loop.root()).await?;
    let graph = graphs.iter().find(|g| g.root == CLOUD).with_context(|| format!("{CLOUD} does not read"))?;
    let pricer = stage.the_loop.prices();
    let (estimate, _) = pricer.price(graph);
    let cost = estimate.plan_cost();
    teller.say(&format!("{CLOUD}: {}", lem_optimize::text::total(&estimate).trim_end()));
    let budgets: Vec<Value> = pricer
        .config
        .budgets
        .iter()
        .map(|budget| {
            let standing = budget.judge(&estimate);
            let known = standing.estimate.as_ref().map_or("unknown".to_owned(), ToString::to_string);
            teller.say(&format!("budget {}: {known} of {} a month", budget.name, budget.monthly));
            json!({ "budget": budget.name, "limit": budget.monthly.to_string(), "estimate": known })
        })
        .collect();
    Ok(json!({
        "monthly": cost.after.to_string(),
        "unpriced": cost.unknown.len(),
        "prices": cost.prices,
        "budgets": budgets,
    }))
}

async fn scan(stage: &Stage, teller: &Teller) -> Result<Value> {
    let root = stage.the_loop.root().to_owned();
    let (policy, _) = policy(&root).map_err(|f| anyhow::anyhow!("{f}"))?;
    let database = database().map_err(|f| anyhow::anyhow!("{f}"))?;
    let today = plan::day_of(jiff::Timestamp::now());
    let options = ScanOptions { policy, history: true, ..ScanOptions::new(database, today) };
    let found = lem_secure::scan(&root, Some(&Graphs), options).await?;
    let count = |scanner: lem_model::finding::Scanner| {
        found.findings.iter().filter(|f| f.is_open() && f.scanner == scanner).count()
    };
    use lem_model::finding::Scanner::{Infrastructure, Pipeline, Secret, Vulnerability};
    for finding in found.findings.iter().filter(|f| f.is_open()).take(3) {
        teller.say(&format!("finding {}: {} ({})", finding.severity, finding.title, finding.place));
    }
    let counts = json!({
        "infrastructure": count(Infrastructure),
        "pipeline": count(Pipeline),
        "secrets": count(Secret),
        "vulnerabilities": count(Vulnerability),
        "unknown": found.unknown.len(),
    });
    teller.say(&format!("scan of the tree and its history: {counts}"));
    Ok(counts)
}

/// Writes the report of every team as a page and as Markdown; where they are.
pub(super) async fn team_reports(stage: &Stage, folder: &Path) -> Result<Vec<String>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let log = stage.the_loop.log();
    let events = crate::reports::events(&log).await?;
    let pricer = stage.the_loop.prices();
    let costs = crate::reports::attributed(&pricer, &Graphs, stage.the_loop.root()).await;
    let mut written = vec![];
    for team in Team::ALL {
        let report = crate::reports::report(team, &events, &costs, &pricer);
        for (ending, text) in [("md", report.markdown()), ("html", report.html())] {
            let path = folder.join(format!("{}.{ending}", team.name()));
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path.display().to_string());
        }
    }
    Ok(written)
}
