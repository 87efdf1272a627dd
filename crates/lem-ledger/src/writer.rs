//! The one task that writes. It commits all waiting appends in one transaction (group commit), signs checkpoints, and
//! hands leaves on to the tiles. What is acknowledged is on disk.

use crate::checkpoint::{PrivateKey, SignedCheckpoint};
use crate::db::{DbError, Transaction, Value};
use crate::leaf::{Stored, stamp};
use crate::ledger::{Shared, hash_row, hashes};
use crate::log::{Appended, Erasure, Kept};
use crate::tiling::Tiler;
use crate::tree::{Edge, Hash};
use crate::{ERASED_TYPE, LedgerError, sql};
use lem_model::event::short_type;
use lem_model::{Event, EventType, NewEvent, Seq};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Events in one transaction, at most (a larger single batch goes alone).
const GROUP: usize = 8192;
/// A checkpoint is due after this many events ...
pub const CHECKPOINT_EVENTS: u64 = 256;
/// ... or this long after the first unsigned one.
pub const CHECKPOINT_AFTER: Duration = Duration::from_secs(10);
/// First wait before trying again, doubled each time up to [`BACKOFF_MOST`].
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_secs(1);

type Answer<T> = oneshot::Sender<Result<T, LedgerError>>;

/// What the writer is asked.
pub(crate) enum Command {
    Append { rows: Vec<Stored>, answer: Answer<Vec<Appended>> },
    Checkpoint(Answer<SignedCheckpoint>),
    Erase { seq: Seq, why: Erasure, answer: Answer<Seq> },
    Look,
    Close(Answer<Option<SignedCheckpoint>>),
}

/// Whether to sign although it is not due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    WhenDue,
    Now,
}

/// What one transaction did.
struct Done {
    answers: Vec<Appended>,
    edge: Edge,
    nodes: Vec<Hash>,
    /// Leaves of ours; others in between are read from the rows.
    leaves: Vec<(Seq, String, Hash)>,
    signed: Option<SignedCheckpoint>,
    types: Vec<String>,
}

/// Why a transaction did not happen.
enum Fault {
    Db(&'static str, DbError),
    Ledger(LedgerError),
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

fn at(doing: &'static str) -> impl Fn(DbError) -> Fault {
    move |error| Fault::Db(doing, error)
}

/// Who has an id already.
enum Holder {
    Row { seq: Seq, payload: Option<Vec<u8>>, commitment: Vec<u8> },
    Batch(usize),
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    key: PrivateKey,
    signed: Option<SignedCheckpoint>,
    unsigned_since: Option<Instant>,
    read_only: Option<String>,
    types: HashSet<String>,
    tiler: Tiler,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: PrivateKey,
        signed: Option<SignedCheckpoint>,
        read_only: Option<String>,
        tiles: PathBuf,
    ) -> Self {
        let size = shared.tree.read().size();
        let behind = signed.as_ref().map_or(0, |s| s.size) < size;
        let tiler = Tiler::start(Arc::clone(&shared.db), &shared.tree.read(), tiles, read_only.is_none());
        let unsigned_since = behind.then(Instant::now);
        Self { shared, key, signed, unsigned_since, read_only, types: HashSet::new(), tiler }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut ahead = VecDeque::new();
        loop {
            let due = self.unsigned_since.map(|since| since + CHECKPOINT_AFTER);
            let command = if let Some(command) = ahead.pop_front() {
                Some(command)
            } else {
                tokio::select! {
                    command = inbox.recv() => command,
                    () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                        if let Err(error) = self.checkpoint().await {
                            tracing::warn!(%error, "no checkpoint now");
                            self.unsigned_since = Some(Instant::now());
                        }
                        continue;
                    }
                }
            };
            match command {
                Some(Command::Append { rows, answer }) => self.group(rows, answer, &mut inbox, &mut ahead).await,
                Some(Command::Checkpoint(answer)) => {
                    let _ = answer.send(self.checkpoint().await);
                    self.tiler.settle().await;
                }
                Some(Command::Erase { seq, why, answer }) => {
                    let _ = answer.send(self.erase(seq, &why).await);
                }
                Some(Command::Look) => self.look().await,
                Some(Command::Close(answer)) => {
                    let last = self.checkpoint().await.map(Some);
                    self.tiler.settle().await;
                    let _ = answer.send(last);
                    return;
                }
                None => {
                    if self.unsigned_since.is_some()
                        && let Err(error) = self.checkpoint().await
                    {
                        tracing::warn!(%error, "no last checkpoint");
                    }
                    self.tiler.settle().await;
                    return;
                }
            }
        }
    }

    /// Takes all appends that wait, commits them together and answers each.
    async fn group(
        &mut self,
        rows: Vec<Stored>,
        answer: Answer<Vec<Appended>>,
        inbox: &mut mpsc::Receiver<Command>,
        ahead: &mut VecDeque<Command>,
    ) {
        let mut all = rows;
        let mut waiting = vec![(all.len(), answer)];
        while all.len() < GROUP {
            match inbox.try_recv() {
                Ok(Command::Append { rows, answer }) => {
                    waiting.push((rows.len(), answer));
                    all.extend(rows);
                }
                Ok(other) => {
                    ahead.push_back(other);
                    break;
                }
                Err(_) => break,
            }
        }
        match self.commit(&mut all, None, Sign::WhenDue).await {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for (count, answer) in waiting {
                    let _ = answer.send(Ok(answers.by_ref().take(count).collect()));
                }
            }
            Err(error) => {
                for (_, answer) in waiting {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    async fn checkpoint(&mut self) -> Result<SignedCheckpoint, LedgerError> {
        self.commit(&mut [], None, Sign::Now).await?;
        self.signed.clone().ok_or(LedgerError::Closed)
    }

    async fn erase(&mut self, seq: Seq, why: &Erasure) -> Result<Seq, LedgerError> {
        let size = self.shared.tree.read().size();
        if seq >= size {
            return Err(LedgerError::NoSuchEvent { seq, size });
        }
        let now = self.shared.clock.now();
        let id = uuid::Uuid::now_v7().to_string();
        let source = "/lem/ledger";
        let payload = serde_json::json!({
            "context": {"specversion": lem_model::event::CDEVENTS_VERSION, "id": id, "source": source,
                "type": ERASED_TYPE, "timestamp": now.to_string()},
            "subject": {"id": seq.to_string(), "source": source,
                "content": {"seq": seq, "reason": why.reason, "by": why.by}},
        });
        let event = NewEvent {
            id,
            kind: EventType::new(ERASED_TYPE),
            time_occurred: now,
            source: source.into(),
            subject: seq.to_string(),
            chain: None,
            payload,
        };
        let answers = self.commit(&mut [Stored::prepare(&event)?], Some(seq), Sign::WhenDue).await?;
        answers.first().map(|a| a.seq).ok_or(LedgerError::Closed)
    }

    /// Takes in what another process appended.
    async fn look(&mut self) {
        let have = self.shared.tree.read().size();
        let Ok(rows) = self.shared.db.fetch(sql::SIZE, vec![]).await else { return };
        let size = rows.into_iter().flatten().next().map_or(0, |v| v.int() as u64);
        if size <= have || self.read_only.is_some() {
            return;
        }
        let Ok(more) = hashes(self.shared.db.as_ref(), have, size).await else { return };
        let size = {
            let mut tree = self.shared.tree.write();
            for hash in more {
                tree.push(hash);
            }
            tree.size()
        };
        self.unsigned_since.get_or_insert_with(Instant::now);
        self.shared.changes.send_replace(size);
    }

    /// One transaction, tried again while the database is away.
    async fn commit(
        &mut self,
        rows: &mut [Stored],
        erase: Option<Seq>,
        sign: Sign,
    ) -> Result<Vec<Appended>, LedgerError> {
        if let Some(why) = &self.read_only {
            return Err(LedgerError::ReadOnly { why: why.clone() });
        }
        let until = Instant::now() + self.shared.patience;
        let mut wait = BACKOFF;
        loop {
            let (doing, error) = match self.attempt(rows, erase, sign).await {
                Ok(done) => return Ok(self.apply(done)),
                Err(Fault::Ledger(error)) => {
                    if let LedgerError::ReadOnly { why } = &error {
                        tracing::error!(%why, "ledger is read-only");
                        self.read_only = Some(why.clone());
                    }
                    return Err(error);
                }
                Err(Fault::Db(doing, error)) => (doing, error),
            };
            let db = &self.shared.db;
            if db.is_full(&error) {
                return Err(LedgerError::Full { source: Arc::new(error) });
            }
            if !db.is_passing(&error) {
                return Err(LedgerError::Database { doing, source: Arc::new(error) });
            }
            if Instant::now() + wait > until {
                return Err(LedgerError::Gone { address: db.address().to_owned(), source: Arc::new(error) });
            }
            tracing::warn!(%error, doing, "ledger database is away, trying again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF_MOST);
        }
    }

    async fn attempt(&self, rows: &mut [Stored], erase: Option<Seq>, sign: Sign) -> Result<Done, Fault> {
        let mut tx = self.shared.db.begin().await.map_err(at("starting a transaction"))?;
        let (mut edge, mut nodes) = (self.shared.tree.read().edge(), Vec::new());
        catch_up(tx.as_mut(), &mut edge, &mut nodes).await?;
        let holders = existing(tx.as_mut(), rows).await?;
        let received = stamp(self.shared.clock.now());
        let decided = decide(rows, holders, edge.size(), &received);
        for (_, _, hash) in &decided.leaves {
            nodes.extend(edge.push(*hash));
        }
        let fresh = decided.new.iter().map(|i| rows[*i].values()).collect();
        tx.insert(fresh).await.map_err(at("inserting events"))?;
        let types = self.new_types(tx.as_mut(), decided.new.iter().map(|i| &rows[*i])).await?;
        for (i, seq) in &decided.conflicts {
            conflict(tx.as_mut(), &rows[*i], *seq, &received).await?;
        }
        if let Some(seq) = erase
            && tx.run(sql::ERASE, vec![Value::Int(seq as i64)]).await.map_err(at("erasing a payload"))? == 0
        {
            return Err(LedgerError::malformed(format!("payload of event {seq}"), "already erased").into());
        }
        let signed = self.sign(tx.as_mut(), &edge, sign).await?;
        let wrote = !decided.new.is_empty() || !decided.conflicts.is_empty() || signed.is_some();
        if wrote {
            tx.commit().await.map_err(at("committing"))?;
        }
        Ok(Done { answers: decided.answers, edge, nodes, leaves: decided.leaves, signed, types })
    }

    async fn new_types<'a>(
        &self,
        tx: &mut dyn Transaction,
        rows: impl Iterator<Item = &'a Stored>,
    ) -> Result<Vec<String>, Fault> {
        let mut fresh: Vec<String> = Vec::new();
        for row in rows {
            if !self.types.contains(&row.kind) && !fresh.contains(&row.kind) {
                let short = short_type(&row.kind).to_owned();
                let args = vec![Value::Text(row.kind.clone()), Value::Text(short)];
                tx.run(sql::TYPE, args).await.map_err(at("noting a type"))?;
                fresh.push(row.kind.clone());
            }
        }
        Ok(fresh)
    }

    /// Signs when it is time. The note goes into the same transaction as the rows it covers, so that what was signed is
    /// known before anybody sees it.
    async fn sign(&self, tx: &mut dyn Transaction, edge: &Edge, sign: Sign) -> Result<Option<SignedCheckpoint>, Fault> {
        let last = self.signed.as_ref().map(|s| s.size);
        let due = match sign {
            Sign::Now => last != Some(edge.size()),
            Sign::WhenDue => edge.size() - last.unwrap_or(0) >= CHECKPOINT_EVENTS,
        };
        if !due {
            return Ok(None);
        }
        let rows = tx.fetch(sql::LAST_SIGNED, vec![]).await.map_err(at("reading the last checkpoint"))?;
        let mut signed = self.key.sign(edge.size(), &edge.root());
        if let Some(mut row) = rows.into_iter().next() {
            let (note, root, size) = (row.pop(), row.pop(), row.pop().map_or(0, |v| v.int() as u64));
            if size > edge.size() || (size == edge.size() && root.map(Value::blob).as_deref() != Some(&signed.root[..]))
            {
                let why = format!("a checkpoint of {size} events was signed that these do not extend");
                return Err(LedgerError::ReadOnly { why }.into());
            }
            if size == edge.size() {
                // Another process has signed this very tree.
                signed = SignedCheckpoint::parse(&note.map(Value::text).unwrap_or_default())?;
            }
        }
        let args =
            vec![Value::Int(signed.size as i64), Value::Blob(signed.root.to_vec()), Value::Text(signed.note.clone())];
        tx.run(sql::SIGNED, args).await.map_err(at("keeping a checkpoint"))?;
        Ok(Some(signed))
    }

    /// What follows a commit; cannot fail.
    fn apply(&mut self, done: Done) -> Vec<Appended> {
        let size = done.edge.size();
        self.shared.tree.write().advance(done.edge, &done.nodes);
        self.types.extend(done.types);
        if !done.leaves.is_empty() {
            self.unsigned_since.get_or_insert_with(Instant::now);
            self.tiler.leaves(done.leaves);
        }
        if let Some(signed) = done.signed {
            self.unsigned_since = None;
            self.tiler.checkpoint(signed.clone());
            self.signed = Some(signed);
        }
        self.shared.changes.send_if_modified(|have| std::mem::replace(have, size) != size);
        done.answers
    }
}

/// Takes in what another process appended since.
async fn catch_up(tx: &mut dyn Transaction, edge: &mut Edge, nodes: &mut Vec<Hash>) -> Result<(), Fault> {
    let rows = tx.fetch(sql::SIZE, vec![]).await.map_err(at("reading the size"))?;
    let size = rows.into_iter().flatten().next().map_or(0, |v| v.int() as u64);
    if size < edge.size() {
        let why = format!("{} events were acknowledged, {size} are there", edge.size());
        return Err(LedgerError::ReadOnly { why }.into());
    }
    while edge.size() < size {
        let args = vec![Value::Int(edge.size() as i64), Value::Int(size as i64)];
        let rows = tx.fetch(sql::HASHES, args).await.map_err(at("reading leaf hashes"))?;
        if rows.is_empty() {
            return Err(LedgerError::malformed(format!("event {}", edge.size()), "missing").into());
        }
        for row in rows {
            let hash = hash_row(row, edge.size())?;
            nodes.extend(edge.push(hash));
        }
    }
    Ok(())
}

async fn existing(tx: &mut dyn Transaction, rows: &[Stored]) -> Result<HashMap<(String, String), Holder>, Fault> {
    let mut holders = HashMap::with_capacity(rows.len());
    let pairs = rows.iter().map(|r| [Value::Text(r.id.clone()), Value::Text(r.source.clone())]).collect();
    for row in tx.existing(pairs).await.map_err(at("looking for duplicates"))? {
        let mut columns = row.into_iter();
        let mut next = || columns.next().unwrap_or(Value::Null);
        let (seq, id, source) = (next().int() as u64, next().text(), next().text());
        let holder = Holder::Row { seq, payload: next().maybe_blob(), commitment: next().blob() };
        holders.insert((id, source), holder);
    }
    Ok(holders)
}

struct Decided {
    answers: Vec<Appended>,
    /// Indices of rows to insert.
    new: Vec<usize>,
    conflicts: Vec<(usize, Seq)>,
    leaves: Vec<(Seq, String, Hash)>,
}

/// Gives each row its place, or the place of the one that was first. Pure but for filling in the rows.
fn decide(rows: &mut [Stored], mut holders: HashMap<(String, String), Holder>, from: Seq, received: &str) -> Decided {
    let mut decided =
        Decided { answers: Vec::with_capacity(rows.len()), new: vec![], conflicts: vec![], leaves: vec![] };
    let mut next = from;
    for i in 0..rows.len() {
        let key = (rows[i].id.clone(), rows[i].source.clone());
        let (seq, kept) = match holders.get(&key) {
            // Our own row: a commit whose answer got lost on the way, tried again. The salt makes it unmistakable.
            Some(Holder::Row { seq, commitment, .. }) if *commitment == rows[i].commitment => (*seq, Kept::New),
            // An erased payload cannot be compared any more; the first one stands.
            Some(Holder::Row { seq, payload: None, .. }) => (*seq, Kept::Duplicate),
            Some(Holder::Row { seq, payload, .. }) if *payload == rows[i].payload => (*seq, Kept::Duplicate),
            Some(Holder::Row { seq, .. }) => (*seq, Kept::Conflict),
            Some(Holder::Batch(first)) if rows[*first].payload == rows[i].payload => {
                (rows[*first].seq, Kept::Duplicate)
            }
            Some(Holder::Batch(first)) => (rows[*first].seq, Kept::Conflict),
            None => {
                let leaf = rows[i].place(next, received);
                let hash = crate::tree::leaf_hash(leaf.as_bytes());
                decided.leaves.push((next, leaf, hash));
                decided.new.push(i);
                holders.insert(key, Holder::Batch(i));
                next += 1;
                (next - 1, Kept::New)
            }
        };
        if kept == Kept::Conflict {
            decided.conflicts.push((i, seq));
        }
        decided.answers.push(Appended { seq, kept });
    }
    decided
}

/// Keeps the other version of an event.
async fn conflict(tx: &mut dyn Transaction, row: &Stored, seq: Seq, received: &str) -> Result<(), Fault> {
    let Event { id, kind, time_occurred, source, subject, chain, payload, .. } = row.clone().event()?;
    let event = NewEvent { id, kind, time_occurred, source, subject, chain, payload };
    let bytes = serde_json::to_vec(&event).map_err(|e| LedgerError::malformed("event", e.to_string()))?;
    let args = vec![
        Value::Text(hex::encode(Sha256::digest(&bytes))),
        Value::Int(seq as i64),
        Value::Text(received.to_owned()),
        Value::Text(format!("same source and id as event {seq}, other content")),
        Value::Blob(bytes),
    ];
    tx.run(sql::CONFLICT, args).await.map_err(at("keeping a conflict"))?;
    Ok(())
}
