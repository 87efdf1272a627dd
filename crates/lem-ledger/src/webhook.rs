//! Outgoing subscriptions: events are posted as CloudEvents from a durable cursor, in order, until they are taken.

use crate::{Consumer, EventLog, Filter, LedgerError, wire};
use lem_model::{Event, Seq};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// First wait after a failed delivery, doubled each time up to [`BACKOFF_MOST`].
pub const BACKOFF: Duration = Duration::from_millis(500);
/// Longest wait between two tries.
pub const BACKOFF_MOST: Duration = Duration::from_mins(5);
/// How long the other side may take for one answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Where events go.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Name; its cursor is `webhook/NAME`.
    pub name: String,
    /// Where to post.
    pub url: String,
    /// Which events.
    pub filter: Filter,
    /// Value of the `authorization` header.
    pub authorization: Option<String>,
    /// First wait after a failure.
    pub backoff: Duration,
}

impl Webhook {
    /// Without authorization, with the usual backoff.
    pub fn new(name: impl Into<String>, url: impl Into<String>, filter: Filter) -> Self {
        Self { name: name.into(), url: url.into(), filter, authorization: None, backoff: BACKOFF }
    }
}

/// How a webhook fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryState {
    /// Events taken by the other side since the start.
    pub delivered: u64,
    /// Tries in a row that failed.
    pub failures: u32,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// The last event that was taken.
    pub last_seq: Option<Seq>,
    /// The other side said 410: it wants no more.
    pub gone: bool,
}

/// Delivers until the log closes or the other side answers 410. An event that is not taken holds up those behind it;
/// `state` shows it.
pub async fn deliver(
    log: Arc<dyn EventLog>,
    hook: Webhook,
    state: watch::Sender<DeliveryState>,
) -> Result<(), LedgerError> {
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| LedgerError::malformed("webhook", e.to_string()))?;
    let who = Consumer::new(format!("webhook/{}", hook.name));
    let mut events = log.subscribe(&who, hook.filter.clone()).await?;
    loop {
        let event = events.next().await?;
        let mut wait = hook.backoff;
        loop {
            match post(&client, &hook, &event).await {
                Tried::Taken => break,
                Tried::Gone => {
                    state.send_modify(|s| s.gone = true);
                    return Ok(());
                }
                Tried::Failed { why, after } => {
                    tracing::warn!(webhook = hook.name, seq = event.seq, %why, "not delivered, trying again");
                    state.send_modify(|s| {
                        s.failures += 1;
                        s.last_error = Some(why);
                    });
                    tokio::time::sleep(after.unwrap_or(wait).min(BACKOFF_MOST)).await;
                    wait = (wait * 2).min(BACKOFF_MOST);
                }
            }
        }
        events.ack(event.seq).await?;
        state.send_modify(|s| {
            s.delivered += 1;
            s.failures = 0;
            s.last_error = None;
            s.last_seq = Some(event.seq);
        });
    }
}

enum Tried {
    Taken,
    Gone,
    Failed { why: String, after: Option<Duration> },
}

async fn post(client: &reqwest::Client, hook: &Webhook, event: &Event) -> Tried {
    let mut request = client
        .post(&hook.url)
        .header("content-type", "application/cloudevents+json; charset=utf-8")
        .body(wire::emit_structured(event).to_string());
    if let Some(authorization) = &hook.authorization {
        request = request.header("authorization", authorization);
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Tried::Taken,
        Ok(answer) if answer.status().as_u16() == 410 => Tried::Gone,
        Ok(answer) => {
            let after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
            Tried::Failed { why: format!("answered {}", answer.status()), after: after.map(Duration::from_secs) }
        }
        Err(error) => Tried::Failed { why: error.without_url().to_string(), after: None },
    }
}
