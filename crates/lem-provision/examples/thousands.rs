//! For the benchmark: plans and durably applies what is in a folder, and prints the seconds of both as JSON.
//!
//! `thousands FOLDER` expects a `main.tf` there; its state goes beside it.

use lem_ledger::SystemClock;
use lem_provision::apply::{Settings, Silent};
use lem_provision::config::Config;
use lem_provision::execute::Environment;
use lem_provision::plan::Options;
use lem_provision::project::Given;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let target = Config::default().target(&folder, &folder, &folder.join(".lem"), None)?;
    let environment = Environment::new(target, Arc::new(SystemClock));
    let begun = Instant::now();
    let planned = environment.plan(&Given::default(), &Options::default()).await?;
    let plan = begun.elapsed();
    let begun = Instant::now();
    let mut session = environment.session("apply", Duration::ZERO, &|_| {}).await?;
    let sealed = environment.plan_in(&session, &Given::default(), &Options::default()).await?;
    let settings = Settings {
        parallelism: 10,
        clock: Arc::new(SystemClock),
        progress: Arc::new(Silent),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let applied = environment.apply(&sealed, &mut session, &settings).await?;
    let apply = begun.elapsed();
    let again = environment.plan(&Given::default(), &Options::default()).await?;
    println!(
        "{{\"resources\": {}, \"plan_s\": {:.3}, \"apply_s\": {:.3}, \"created\": {}, \"second_plan_empty\": {}, \"peak_rss_mb\": {}}}",
        planned.plan().changes.len(),
        plan.as_secs_f64(),
        apply.as_secs_f64(),
        applied.counts.create,
        again.plan().is_empty(),
        peak_rss_mb()
    );
    Ok(())
}

/// `VmHWM` of this process; 0 where the system does not say.
fn peak_rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
