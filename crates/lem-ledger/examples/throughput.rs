//! How fast the ledger appends durably and verifies. `throughput DIR append SECONDS` and `throughput DIR verify EVENTS`
//! print one line of JSON each; `bench/ledger/run.sh` compares them with a peer.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use lem_ledger::{EventLog, Ledger, Options, Verdict, verify};
use lem_model::{EventType, NewEvent};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Appenders at once, and events in each of their batches.
const APPENDERS: u64 = 32;
const BATCH: u64 = 100;

/// An event like a finished run's, about 600 bytes.
fn event(n: u64, now: Timestamp) -> NewEvent {
    let id = format!("01900000-0000-7000-8000-{n:012x}");
    let sha = format!("{:040x}", n / 10);
    let kind = "dev.cdevents.pipelinerun.finished.0.3.0";
    let run = format!("run-{}", n / 4);
    let payload = json!({
        "context": {"specversion": "0.5.1", "id": id, "source": "/lem/pipeline", "type": kind,
            "timestamp": now.to_string(), "chainId": sha},
        "subject": {"id": run, "source": "/lem/pipeline", "content": {"pipelineName": "ci", "uri": format!("/runs/{run}"),
            "outcome": "success"}},
        "customData": {"run": run, "sha": sha, "branch": "main", "durationMs": n % 60_000, "queuedMs": 12},
        "customDataContentType": "application/json",
    });
    NewEvent {
        id,
        kind: EventType::new(kind),
        time_occurred: now,
        source: "/lem/pipeline".into(),
        subject: run,
        chain: Some(sha),
        payload,
    }
}

async fn fill(
    ledger: &Arc<Ledger>,
    next: &Arc<AtomicU64>,
    enough: impl Fn(u64) -> bool + Send + Sync + Copy + 'static,
) -> anyhow::Result<()> {
    let tasks: Vec<_> = (0..APPENDERS)
        .map(|_| {
            let (ledger, next) = (Arc::clone(ledger), Arc::clone(next));
            tokio::spawn(async move {
                loop {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if enough(from) {
                        return anyhow::Ok(());
                    }
                    let now = Timestamp::now();
                    ledger.append((from..from + BATCH).map(|n| event(n, now)).collect()).await?;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, what, amount] = &args[..] else { bail!("usage: throughput DIR append|verify N") };
    let amount: u64 = amount.parse().context("N is no number")?;
    let options = Options::new(format!("sqlite:{dir}/ledger.db"), dir);
    let ledger = Ledger::open(options.clone()).await?;
    let next = Arc::new(AtomicU64::new(ledger.size().await?));
    let started = Instant::now();
    match what.as_str() {
        "append" => {
            let before = ledger.size().await?;
            let end = started + Duration::from_secs(amount);
            fill(&ledger, &next, move |_| Instant::now() >= end).await?;
            let (events, seconds) = (ledger.size().await? - before, started.elapsed().as_secs_f64());
            println!(
                "{}",
                json!({"events": events, "seconds": seconds, "per_second": (events as f64 / seconds) as u64})
            );
        }
        "verify" => {
            fill(&ledger, &next, move |from| from >= amount).await?;
            ledger.close().await?;
            let started = Instant::now();
            let Verdict::Intact { size, .. } = verify(&options, &[]).await? else { bail!("not intact") };
            println!("{}", json!({"events": size, "seconds": started.elapsed().as_secs_f64()}));
            return Ok(());
        }
        other => bail!("{other:?} is neither append nor verify"),
    }
    ledger.close().await?;
    Ok(())
}
