//! An event log in memory, for tests of stages. It passes the ledger's conformance suite but for what needs a disk:
//! nothing is durable, and its key is made anew each time. Its tree and proofs are real.

use async_trait::async_trait;
use jiff::Timestamp;
use lem_ledger::tree::{Hash, Tree, leaf_hash, node_hash};
use lem_ledger::{
    Appended, Consumer, ERASED_TYPE, Erasure, EventLog, Feed, Filter, InboxItem, Kept, LedgerError, MAX_BATCH,
    PrivateKey, Proof, ProofOf, SignedCheckpoint, Subscription,
};
use lem_model::{Clock, Event, EventType, NewEvent, Seq};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Default)]
struct State {
    events: Vec<Event>,
    leaves: Vec<Hash>,
    tree: Tree,
    by_id: HashMap<(String, String), Seq>,
    cursors: HashMap<Consumer, Seq>,
    inbox: Vec<InboxItem>,
}

struct Inner {
    state: Mutex<State>,
    changes: watch::Sender<Seq>,
    clock: Arc<dyn Clock>,
    key: PrivateKey,
}

/// The log.
#[derive(Clone)]
pub struct MemoryLog(Arc<Inner>);

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLog({} events)", self.0.state.lock().events.len())
    }
}

impl MemoryLog {
    /// An empty log on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let key = PrivateKey::generate("example.com/memory").expect("a good origin");
        Self(Arc::new(Inner { state: Mutex::default(), changes: watch::channel(0).0, clock, key }))
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.state.lock().events.clone()
    }

    /// Short types of all events so far, in order: what stories compare.
    pub fn short_types(&self) -> Vec<String> {
        self.0.state.lock().events.iter().map(|e| e.kind.short().to_owned()).collect()
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(Arc::new(crate::SeededClock::new()))
    }
}

impl State {
    fn take(&mut self, event: NewEvent, now: Timestamp) -> Appended {
        let key = (event.source.clone(), event.id.clone());
        if let Some(seq) = self.by_id.get(&key).copied() {
            let first = &self.events[seq as usize].payload;
            if first.is_null() || *first == event.payload {
                return Appended { seq, kept: Kept::Duplicate };
            }
            let why = format!("same source and id as event {seq}, other content");
            let item = InboxItem { seq, time_received: now, why, event };
            if !self.inbox.iter().any(|have| have.event == item.event) {
                self.inbox.push(item);
            }
            return Appended { seq, kept: Kept::Conflict };
        }
        let seq = self.events.len() as u64;
        self.by_id.insert(key, seq);
        let NewEvent { id, kind, time_occurred, source, subject, chain, payload } = event;
        let event = Event { seq, id, kind, time_occurred, time_received: now, source, subject, chain, payload };
        let leaf = leaf_hash(serde_json::to_string(&event).unwrap_or_default().as_bytes());
        self.leaves.push(leaf);
        self.tree.push(leaf);
        self.events.push(event);
        Appended { seq, kept: Kept::New }
    }
}

/// `MTH`, straight from RFC 6962 section 2.1.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => lem_ledger::tree::empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
            node_hash(&root(left), &root(right))
        }
    }
}

fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = 1 << (leaves.len() - 1).ilog2();
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if index < k { (path(index, left), root(right)) } else { (path(index - k, right), root(left)) };
    path.push(sibling);
    path
}

fn consistency(from: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let k = 1 << (leaves.len() - 1).ilog2();
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if from <= k {
        (consistency(from, left, whole), root(right))
    } else {
        (consistency(from - k, right, false), root(left))
    };
    proof.push(sibling);
    proof
}

#[async_trait]
impl Feed for Inner {
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        let state = self.state.lock();
        let rest = state.events.iter().skip(from.min(usize::MAX as u64) as usize);
        Ok(rest.filter(|e| filter.matches(e)).take(limit.min(lem_ledger::MAX_READ) as usize).cloned().collect())
    }

    async fn size(&self) -> Result<Seq, LedgerError> {
        Ok(self.state.lock().events.len() as u64)
    }

    async fn keep_cursor(&self, who: &Consumer, next: Seq) -> Result<(), LedgerError> {
        let mut state = self.state.lock();
        let cursor = state.cursors.entry(who.clone()).or_default();
        *cursor = next.max(*cursor);
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<Seq> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError> {
        let (have, limit) = (batch.len() as u64, MAX_BATCH as u64);
        if have > limit {
            return Err(LedgerError::TooMuch { what: "events of a batch", have, limit });
        }
        if let Some(event) = batch.iter().find(|e| e.id.is_empty() || e.source.is_empty()) {
            let (id, source_name) = (event.id.clone(), event.source.clone());
            return Err(LedgerError::Invalid { id, source_name, why: "id or source is empty".into() });
        }
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        let answers = batch.into_iter().map(|event| state.take(event, now)).collect();
        let size = state.events.len() as u64;
        drop(state);
        self.0.changes.send_replace(size);
        Ok(answers)
    }

    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        Feed::read(self.0.as_ref(), from, filter, limit).await
    }

    async fn size(&self) -> Result<Seq, LedgerError> {
        Feed::size(self.0.as_ref()).await
    }

    async fn subscribe(&self, who: &Consumer, filter: Filter) -> Result<Subscription, LedgerError> {
        let next = self.0.state.lock().cursors.get(who).copied().unwrap_or(0);
        Ok(Subscription::new(Arc::clone(&self.0) as Arc<dyn Feed>, Some(who.clone()), filter, next))
    }

    async fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        let state = self.0.state.lock();
        Ok(self.0.key.sign(state.tree.size(), &state.tree.root()))
    }

    async fn prove(&self, of: ProofOf) -> Result<Proof, LedgerError> {
        let state = self.0.state.lock();
        let size = state.leaves.len() as u64;
        let path = match of {
            ProofOf::Inclusion { seq, size: to } if seq < to && to <= size => {
                path(seq as usize, &state.leaves[..to as usize])
            }
            ProofOf::Consistency { from: 0, to } if to <= size => Vec::new(),
            ProofOf::Consistency { from, to } if from <= to && to <= size => {
                consistency(from as usize, &state.leaves[..to as usize], true)
            }
            ProofOf::Inclusion { seq, size: to } => return Err(LedgerError::NoSuchEvent { seq: seq.max(to), size }),
            ProofOf::Consistency { from, to } => return Err(LedgerError::NoSuchEvent { seq: from.max(to), size }),
        };
        Ok(Proof { of, path })
    }

    async fn erase(&self, seq: Seq, why: &Erasure) -> Result<Seq, LedgerError> {
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        let size = state.events.len() as u64;
        let Some(event) = state.events.get_mut(seq as usize) else {
            return Err(LedgerError::NoSuchEvent { seq, size });
        };
        if event.payload.is_null() {
            let (what, why) = (format!("payload of event {seq}"), "already erased".into());
            return Err(LedgerError::Malformed { what, why });
        }
        event.payload = serde_json::Value::Null;
        let content = serde_json::json!({"seq": seq, "reason": why.reason, "by": why.by});
        let erased = NewEvent {
            id: format!("erased-{seq}"),
            kind: EventType::new(ERASED_TYPE),
            time_occurred: now,
            source: "/lem/ledger".into(),
            subject: seq.to_string(),
            chain: None,
            payload: serde_json::json!({"subject": {"id": seq.to_string(), "content": content}}),
        };
        let at = state.take(erased, now).seq;
        drop(state);
        self.0.changes.send_replace(at + 1);
        Ok(at)
    }

    async fn inbox(&self) -> Result<Vec<InboxItem>, LedgerError> {
        Ok(self.0.state.lock().inbox.clone())
    }
}
