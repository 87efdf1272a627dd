//! Draining a version: nothing new, wait for what is under way, then say what is left.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use crate::table::Version;

/// What a drain came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// Requests and tunnels that were under way and ended within the grace.
    pub finished: u64,
    /// Requests and tunnels still under way at the deadline. Tunnels among them are closed; requests
    /// go on until the upstream ends them, and answer 504 if it breaks off.
    pub abandoned: u64,
    /// Tunnels open at the deadline.
    pub tunnels: Vec<Tunnel>,
}

/// A websocket or other upgraded connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tunnel {
    /// The client.
    pub client: SocketAddr,
    /// What it asked for.
    pub target: String,
    /// How long it has been open.
    pub age: Duration,
}

/// The open tunnels of a version.
#[derive(Debug, Default)]
pub(crate) struct Tunnels {
    open: Mutex<BTreeMap<u64, (SocketAddr, String, Instant)>>,
    next: AtomicU64,
}

impl Tunnels {
    pub(crate) fn add(&self, client: SocketAddr, target: String) -> u64 {
        let id = self.next.fetch_add(1, Relaxed);
        self.open.lock().insert(id, (client, target, Instant::now()));
        id
    }

    pub(crate) fn remove(&self, id: u64) {
        self.open.lock().remove(&id);
    }

    pub(crate) fn list(&self) -> Vec<Tunnel> {
        let open = self.open.lock();
        open.values()
            .map(|(client, target, since)| Tunnel { client: *client, target: target.clone(), age: since.elapsed() })
            .collect()
    }
}

/// Waits until nothing is under way or the grace is over. Nothing when a plan gave the version traffic
/// again meanwhile.
pub(crate) async fn drain(version: &Version, grace: Duration) -> Option<Drained> {
    version.draining.store(true, SeqCst);
    let at_start = version.in_flight.load(SeqCst);
    let emptied = async {
        loop {
            let mut empty = std::pin::pin!(version.empty.notified());
            empty.as_mut().enable();
            if version.in_flight.load(SeqCst) == 0 || !version.draining.load(SeqCst) {
                return;
            }
            empty.await;
        }
    };
    let in_time = tokio::time::timeout(grace, emptied).await.is_ok();
    if !version.draining.load(SeqCst) {
        return None;
    }
    if in_time {
        return Some(Drained { finished: at_start, abandoned: 0, tunnels: Vec::new() });
    }
    let tunnels = version.tunnels.list();
    let abandoned = version.in_flight.load(SeqCst);
    version.overdue.store(true, SeqCst);
    // A fresh token, so that tunnels of a later life of this version are not born cut.
    std::mem::take(&mut *version.cut.lock()).cancel();
    Some(Drained { finished: at_start.saturating_sub(abandoned), abandoned, tunnels })
}
