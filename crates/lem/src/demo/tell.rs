//! Telling: what the ledger says, as plain lines with the time since the start, as it happens.

use crate::cli::Output;
use indicatif::{ProgressBar, ProgressStyle};
use lem_feedback::report::sentence;
use lem_ledger::{Consumer, EventLog, Filter};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What is worth a line; everything else is in the ledger.
const TOLD: [&str; 35] = [
    "change.merged",
    "pipelinerun.started",
    "pipelinerun.finished",
    "testsuiterun.finished",
    "artifact.packaged",
    "release.planned",
    "rollout.stepfinished",
    "rollout.held",
    "rollout.aborted",
    "rollout.finished",
    "routes.applied",
    "verdict.reached",
    "service.deployed",
    "service.upgraded",
    "service.rolledback",
    "artifact.quarantined",
    "alert.fired",
    "alert.resolved",
    "incident.detected",
    "incident.resolved",
    "attribution.proposed",
    "attribution.abstained",
    "attribution.confirmed",
    "attribution.rejected",
    "action.taken",
    "action.refused",
    "report.published",
    "plan.finished",
    "apply.finished",
    "drift.checked",
    "cost.estimated",
    "budget.exceeded",
    "scan.finished",
    "secret.changed",
    "recommendation.created",
];

/// Writes to standard error, so that standard output stays data.
pub(crate) struct Teller {
    started: Instant,
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Teller {
    /// Follows the log from now on.
    pub(crate) fn start(log: Arc<dyn EventLog>, _output: Output) -> Self {
        let started = Instant::now();
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        let said = bar.clone();
        let task = tokio::spawn(async move {
            let consumer = Consumer::from("demo-teller");
            let Ok(mut events) = log.subscribe(&consumer, Filter::types(TOLD)).await else { return };
            while let Ok(event) = events.next().await {
                line(&said, started, &sentence(&event));
            }
        });
        Self { started, bar, task }
    }

    /// A heading.
    pub(crate) fn chapter(&self, title: &str) {
        line(&self.bar, self.started, "");
        line(&self.bar, self.started, title);
        self.bar.set_message(title.to_owned());
    }

    /// A line of the demo's own.
    pub(crate) fn say(&self, text: &str) {
        line(&self.bar, self.started, text);
    }

    /// The story is told.
    pub(crate) fn end(&self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

fn line(bar: &ProgressBar, started: Instant, text: &str) {
    let text =
        if text.is_empty() { String::new() } else { format!("{:>6.1} s  {text}", started.elapsed().as_secs_f64()) };
    if bar.is_hidden() {
        eprintln!("{text}");
    } else {
        bar.println(text);
    }
}

/// Stands in for the pager of whoever is on call: takes Alertmanager's webhook and says that it rang.
pub(crate) async fn pager(port: u16) {
    use axum::routing::post;
    use axum::{Json, Router};
    let ring = |Json(page): Json<serde_json::Value>| async move {
        let alert = page.pointer("/groupLabels/alertname").and_then(|v| v.as_str()).unwrap_or("something").to_owned();
        eprintln!("           pager: {alert} is {}", page.get("status").and_then(|v| v.as_str()).unwrap_or("?"));
    };
    let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await else { return };
    let app = Router::new().route("/page", post(ring));
    // Ends with the process; the demo does not depend on it.
    let _ended = axum::serve(listener, app).await;
}
