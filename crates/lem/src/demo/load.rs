//! Load: a steady rate of requests, as an open system sends them, and what became of them.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Requests under way at once; beyond that the tick is missed and counted.
const MAX_UNDER_WAY: usize = 512;
/// What a customer waits.
const PATIENCE: Duration = Duration::from_secs(5);
const ITEMS: [&str; 4] = ["apple", "bread", "cheese", "coffee"];

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) missed: AtomicU64,
}

/// Sends `rate` requests a second to `base` until cancelled.
pub(crate) async fn generate(base: String, rate: u32, counts: Arc<Counts>, cancel: CancellationToken) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let places = Arc::new(Semaphore::new(MAX_UNDER_WAY));
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for number in 0_usize.. {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            counts.missed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (client, counts) = (client.clone(), counts.clone());
        let address = format!("{base}/price/{}", ITEMS[number % ITEMS.len()]);
        tokio::spawn(async move {
            let failed = !request(&client, &address).await;
            counts.sent.fetch_add(1, Ordering::Relaxed);
            counts.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
            drop(place);
        });
    }
}

async fn request(client: &Client<HttpConnector, Empty<Bytes>>, address: &str) -> bool {
    let Ok(uri) = address.parse() else { return false };
    let answer = tokio::time::timeout(PATIENCE, async {
        let response = client.get(uri).await.ok()?;
        let good = response.status().is_success();
        response.into_body().collect().await.ok()?;
        Some(good)
    });
    matches!(answer.await, Ok(Some(true)))
}
