//! The ledger over a database: opening, reading, proving. Everything that writes goes through [`crate::writer`].

use crate::checkpoint::{PrivateKey, ProofFile, PublicKey, SignedCheckpoint};
use crate::db::postgres::PostgresDb;
use crate::db::sqlite::{self, Open, SqliteDb};
use crate::db::{Db, DbError, Value};
use crate::leaf::Stored;
use crate::log::{Appended, Consumer, Erasure, EventLog, Filter, InboxItem, MAX_BATCH, MAX_READ, Proof, ProofOf};
use crate::subscription::{Feed, Subscription};
use crate::tree::{Hash, Known, TILE, Tree, cut};
use crate::writer::{Command, Writer};
use crate::{LedgerError, SystemClock, sql, tiles};
use async_trait::async_trait;
use lem_model::{Clock, Event, NewEvent, Seq};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Appends that may wait for the writer; more wait in their callers.
const QUEUE: usize = 1024;

/// Where and how to open a ledger.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://...`.
    pub url: String,
    /// Folder for the signing key and the tiles.
    pub data: PathBuf,
    /// Name of the ledger in its checkpoints; [`crate::DEFAULT_ORIGIN`] when there is no key yet.
    pub origin: Option<String>,
    /// Where `time_received` comes from.
    pub clock: Arc<dyn Clock>,
    /// How long to go on trying when the database is gone, before an append fails.
    pub patience: Duration,
    /// Largest SQLite file in pages of 4096 bytes, for a quota; unlimited when absent.
    pub max_pages: Option<u32>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("data", &self.data).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Options {
    /// With the system's clock and ten seconds of patience.
    pub fn new(url: impl Into<String>, data: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            data: data.into(),
            origin: None,
            clock: Arc::new(SystemClock),
            patience: Duration::from_secs(10),
            max_pages: None,
        }
    }

    /// File with the key that signs.
    pub fn key_path(&self) -> PathBuf {
        self.data.join("ledger.key")
    }

    pub(crate) fn public_path(&self) -> PathBuf {
        self.data.join("ledger.pub")
    }

    pub(crate) fn tiles(&self) -> PathBuf {
        self.data.join("tiles")
    }
}

/// What readers, the writer and subscriptions share.
pub(crate) struct Shared {
    pub(crate) db: Arc<dyn Db>,
    pub(crate) tree: RwLock<Tree>,
    pub(crate) changes: watch::Sender<Seq>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) patience: Duration,
}

/// An append-only event log over SQLite or PostgreSQL.
pub struct Ledger {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    writer: parking_lot::Mutex<Option<tokio::task::JoinHandle<()>>>,
    key: PublicKey,
    tiles: PathBuf,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("address", &self.shared.db.address()).finish_non_exhaustive()
    }
}

/// Connects; says clearly when what is there is no ledger of ours.
pub(crate) async fn connect(url: &str, open: Open, max_pages: Option<u32>) -> Result<Arc<dyn Db>, LedgerError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        return match SqliteDb::open(path, open, max_pages).await {
            Ok(db) => Ok(Arc::new(db)),
            Err(error) => Err(opening(format!("sqlite:{}", path.display()), error)),
        };
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return match PostgresDb::open(url).await {
            Ok(db) => Ok(Arc::new(db)),
            Err(error) => Err(LedgerError::Gone { address: without_password(url), source: Arc::new(error) }),
        };
    }
    Err(LedgerError::Address(without_password(url)))
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://{}", &url[..scheme], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

fn opening(address: String, error: DbError) -> LedgerError {
    if sqlite::is_foreign(&error) {
        return LedgerError::NotALedger { address, why: "it is no SQLite file".into() };
    }
    LedgerError::Gone { address, source: Arc::new(error) }
}

/// Checks what is there, without changing it; whether the schema is there at all.
pub(crate) async fn inspect(db: &dyn Db) -> Result<bool, LedgerError> {
    let address = || db.address().to_owned();
    let rows = db.fetch(db.words().tables, vec![]).await.map_err(|e| opening(address(), e))?;
    let tables: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next()).map(Value::text).collect();
    if tables.is_empty() {
        return Ok(false);
    }
    if !tables.iter().any(|t| t == "lem_meta") {
        let why = format!("it has a table {:?} but no table \"lem_meta\"", tables[0]);
        return Err(LedgerError::NotALedger { address: address(), why });
    }
    let rows = db
        .fetch("SELECT value FROM lem_meta WHERE name = 'schema'", vec![])
        .await
        .map_err(|e| opening(address(), e))?;
    let found = rows.into_iter().flatten().next().and_then(|v| v.text().parse::<i64>().ok());
    match found {
        Some(found) if found > sql::VERSION => {
            Err(LedgerError::Newer { address: address(), found, known: sql::VERSION })
        }
        Some(_) => Ok(true),
        None => Err(LedgerError::NotALedger { address: address(), why: "its schema version is missing".into() }),
    }
}

async fn prepare(db: &dyn Db) -> Result<(), LedgerError> {
    if inspect(db).await? {
        return Ok(());
    }
    let fail = |source| {
        let source = Arc::new(source);
        if db.is_full(&source) {
            LedgerError::Full { source }
        } else {
            LedgerError::Database { doing: "making the tables", source }
        }
    };
    let mut tx = db.begin().await.map_err(fail)?;
    let words = db.words();
    for statement in sql::SCHEMA {
        tx.run(&sql::spelled(statement, &words), vec![]).await.map_err(fail)?;
    }
    let version = vec![Value::Text(sql::VERSION.to_string())];
    tx.run("INSERT INTO lem_meta (name, value) VALUES ('schema', $1) ON CONFLICT (name) DO NOTHING", version)
        .await
        .map_err(fail)?;
    tx.commit().await.map_err(fail)
}

/// Leaf hashes `[from, to)`.
pub(crate) async fn hashes(db: &dyn Db, from: Seq, to: Seq) -> Result<Vec<Hash>, LedgerError> {
    let mut all = Vec::new();
    let mut next = from;
    while next < to {
        let rows = db
            .fetch(sql::HASHES, vec![Value::Int(next as i64), Value::Int(to as i64)])
            .await
            .map_err(|e| LedgerError::Database { doing: "reading leaf hashes", source: Arc::new(e) })?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            all.push(hash_row(row, next)?);
            next += 1;
        }
    }
    Ok(all)
}

pub(crate) fn hash_row(row: Vec<Value>, expect: Seq) -> Result<Hash, LedgerError> {
    let mut columns = row.into_iter();
    let seq = columns.next().map_or(0, |v| v.int()) as u64;
    let hash = columns.next().map(Value::blob).and_then(|b| Hash::try_from(b.as_slice()).ok());
    match hash {
        Some(hash) if seq == expect => Ok(hash),
        Some(_) => Err(LedgerError::malformed(format!("event {expect}"), format!("missing, {seq} follows"))),
        None => Err(LedgerError::malformed(format!("leaf hash of event {seq}"), "not 32 bytes")),
    }
}

/// The tree of all rows, and why nothing may be signed on top of it, if so.
async fn load(db: &dyn Db, tiles: &Path) -> Result<(Tree, Option<SignedCheckpoint>, Option<String>), LedgerError> {
    let fail = |e| LedgerError::Database { doing: "reading the last checkpoint", source: Arc::new(e) };
    let rows = db.fetch(sql::LAST_SIGNED, vec![]).await.map_err(fail)?;
    let in_rows = rows.into_iter().next().and_then(|row| row.into_iter().nth(2)).map(Value::text);
    let in_rows = in_rows.map(|note| SignedCheckpoint::parse(&note)).transpose()?;
    let on_disk = tiles::checkpoint(tiles)?;
    let mut read_only = None;
    let mut tree = Tree::default();
    let mut signed: Vec<&SignedCheckpoint> = in_rows.iter().chain(on_disk.iter()).collect();
    signed.sort_by_key(|c| c.size);
    let mut check = |tree: &Tree| {
        for checkpoint in signed.iter().filter(|c| c.size == tree.size() && c.root != tree.root()) {
            read_only = Some(format!("the first {} events are not those that were signed", checkpoint.size));
        }
    };
    check(&tree);
    loop {
        let from = tree.size();
        let page = hashes(db, from, from + 65536).await?;
        if page.is_empty() {
            break;
        }
        for hash in page {
            tree.push(hash);
            check(&tree);
        }
    }
    if let Some(last) = signed.last().filter(|c| c.size > tree.size()) {
        read_only = Some(format!("{} events were signed, {} are there", last.size, tree.size()));
    }
    let last = signed.last().map(|c| (*c).clone());
    Ok((tree, last, read_only))
}

impl Ledger {
    /// Opens a ledger, making it when there is none. Must be called inside a tokio runtime.
    pub async fn open(options: Options) -> Result<Arc<Self>, LedgerError> {
        std::fs::create_dir_all(&options.data).map_err(|e| LedgerError::file("make", &options.data, e))?;
        let db = connect(&options.url, Open::Create, options.max_pages).await?;
        prepare(db.as_ref()).await?;
        let key = PrivateKey::load(&options.key_path(), options.origin.as_deref())?;
        let public = key.public();
        let path = options.public_path();
        std::fs::write(&path, format!("{public}\n")).map_err(|e| LedgerError::file("write", &path, e))?;
        let (tree, signed, read_only) = load(db.as_ref(), &options.tiles()).await?;
        if let Some(why) = &read_only {
            tracing::error!(%why, "ledger is read-only");
        }
        let (changes, _) = watch::channel(tree.size());
        let shared = Arc::new(Shared {
            db,
            tree: RwLock::new(tree),
            changes,
            clock: Arc::clone(&options.clock),
            patience: options.patience,
        });
        let (commands, inbox) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), key, signed, read_only, options.tiles());
        let writer = tokio::spawn(writer.run(inbox));
        tokio::spawn(look_elsewhere(Arc::clone(&shared.db), commands.downgrade()));
        let writer = parking_lot::Mutex::new(Some(writer));
        Ok(Arc::new(Self { shared, commands, writer, key: public, tiles: options.tiles() }))
    }

    /// The key its checkpoints are checked with.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Folder of the tiles.
    pub fn tiles(&self) -> &Path {
        &self.tiles
    }

    /// Signs a last checkpoint, writes the tiles and ends writer and connections. Any use afterwards is an error.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let answer = self.ask(Command::Close).await;
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            writer.await.map_err(|_| LedgerError::Closed)?;
        }
        self.shared.db.close().await;
        answer.map(|_| ())
    }

    /// The `.tlog-proof` file of an event, under a checkpoint made now if the last one is older than the event.
    pub async fn proof_file(&self, seq: Seq) -> Result<ProofFile, LedgerError> {
        let checkpoint = self.checkpoint().await?;
        let proof = self.prove(ProofOf::Inclusion { seq, size: checkpoint.size }).await?;
        Ok(ProofFile { index: seq, path: proof.path, checkpoint })
    }

    /// The leaf of an event: what a proof file proves.
    pub async fn leaf(&self, seq: Seq) -> Result<String, LedgerError> {
        let row = self.rows(seq, &Filter::all(), 1).await?.into_iter().next().filter(|row| row.seq == seq);
        row.map(|row| row.leaf()).ok_or_else(|| LedgerError::NoSuchEvent { seq, size: self.shared.tree.read().size() })
    }

    pub(crate) async fn rows(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Stored>, LedgerError> {
        self.shared.rows(from, filter, limit).await
    }

    /// Follows events without a durable cursor: the caller resumes by sequence, as HTTP clients do.
    pub fn follow(&self, from: Seq, filter: Filter) -> Subscription {
        Subscription::new(Arc::clone(&self.shared) as Arc<dyn Feed>, None, filter, from)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, LedgerError>>) -> Command,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| LedgerError::Closed)?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }
}

/// Tells the writer to look whether another process appended.
async fn look_elsewhere(db: Arc<dyn Db>, commands: mpsc::WeakSender<Command>) {
    loop {
        tokio::select! {
            () = db.elsewhere() => {}
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
        let Some(commands) = commands.upgrade() else { return };
        if commands.send(Command::Look).await.is_err() {
            return;
        }
    }
}

impl Shared {
    async fn rows(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Stored>, LedgerError> {
        let (sql, args) = sql::select(from, filter, limit.min(MAX_READ))?;
        let rows = self.db.fetch(&sql, args).await.map_err(|source| {
            let source = Arc::new(source);
            if self.db.is_passing(&source) {
                LedgerError::Gone { address: self.db.address().to_owned(), source }
            } else {
                LedgerError::Database { doing: "reading events", source }
            }
        })?;
        Ok(rows.into_iter().map(Stored::of).collect())
    }
}

#[async_trait]
impl Feed for Shared {
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        self.rows(from, filter, limit).await?.into_iter().map(Stored::event).collect()
    }

    async fn size(&self) -> Result<Seq, LedgerError> {
        Ok(self.tree.read().size())
    }

    async fn keep_cursor(&self, who: &Consumer, next: Seq) -> Result<(), LedgerError> {
        let fail = |e| LedgerError::Database { doing: "keeping a cursor", source: Arc::new(e) };
        let mut tx = self.db.begin().await.map_err(fail)?;
        let args = vec![Value::Text(who.as_str().to_owned()), Value::Int(next as i64)];
        tx.run(sql::MOVE, args).await.map_err(fail)?;
        tx.commit().await.map_err(fail)
    }

    fn changes(&self) -> watch::Receiver<Seq> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl EventLog for Ledger {
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        if batch.len() > MAX_BATCH {
            return Err(LedgerError::TooMuch {
                what: "events of a batch",
                have: batch.len() as u64,
                limit: MAX_BATCH as u64,
            });
        }
        let rows = batch.iter().map(Stored::prepare).collect::<Result<Vec<_>, _>>()?;
        self.ask(|answer| Command::Append { rows, answer }).await
    }

    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        Feed::read(self.shared.as_ref(), from, filter, limit).await
    }

    async fn size(&self) -> Result<Seq, LedgerError> {
        Feed::size(self.shared.as_ref()).await
    }

    async fn subscribe(&self, who: &Consumer, filter: Filter) -> Result<Subscription, LedgerError> {
        let rows = self
            .shared
            .db
            .fetch(sql::CURSOR, vec![Value::Text(who.as_str().to_owned())])
            .await
            .map_err(|e| LedgerError::Database { doing: "reading a cursor", source: Arc::new(e) })?;
        let next = rows.into_iter().flatten().next().map_or(0, |v| v.int() as u64);
        Ok(Subscription::new(Arc::clone(&self.shared) as Arc<dyn Feed>, Some(who.clone()), filter, next))
    }

    async fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        self.ask(Command::Checkpoint).await
    }

    async fn prove(&self, of: ProofOf) -> Result<Proof, LedgerError> {
        let size = self.shared.tree.read().size();
        let (small, large) = match of {
            ProofOf::Inclusion { seq, size } => (seq, size),
            ProofOf::Consistency { from, to } => (from, to),
        };
        let beyond = matches!(of, ProofOf::Inclusion { .. }) && small >= large;
        if large > size || small > large || beyond {
            return Err(LedgerError::NoSuchEvent { seq: small.max(large), size });
        }
        let mut leaves = BTreeMap::new();
        let whole = matches!(of, ProofOf::Inclusion { .. }).then_some(small / TILE * TILE);
        for start in [whole, cut(small), cut(large)].into_iter().flatten() {
            if let std::collections::btree_map::Entry::Vacant(tile) = leaves.entry(start) {
                tile.insert(hashes(self.shared.db.as_ref(), start, (start + TILE).min(size)).await?);
            }
        }
        let tree = self.shared.tree.read();
        let known = Known { nodes: tree.nodes(), leaves };
        let path = match of {
            ProofOf::Inclusion { seq, size } => known.path(seq, 0, size),
            ProofOf::Consistency { from, to } => known.consistency(from, to),
        };
        path.map(|path| Proof { of, path }).ok_or_else(|| LedgerError::malformed("tree", "leaf hashes are missing"))
    }

    async fn erase(&self, seq: Seq, why: &Erasure) -> Result<Seq, LedgerError> {
        let why = why.clone();
        self.ask(|answer| Command::Erase { seq, why, answer }).await
    }

    async fn inbox(&self) -> Result<Vec<InboxItem>, LedgerError> {
        let rows = self
            .shared
            .db
            .fetch(sql::INBOX, vec![])
            .await
            .map_err(|e| LedgerError::Database { doing: "reading the inbox", source: Arc::new(e) })?;
        rows.into_iter().map(inbox_item).collect()
    }
}

fn inbox_item(row: Vec<Value>) -> Result<InboxItem, LedgerError> {
    let mut columns = row.into_iter();
    let mut next = || columns.next().unwrap_or(Value::Null);
    let (seq, time, why, event) = (next().int() as u64, next().text(), next().text(), next().blob());
    let wrong = |why: String| LedgerError::malformed(format!("inbox item for event {seq}"), why);
    Ok(InboxItem {
        seq,
        time_received: time.parse().map_err(|e: jiff::Error| wrong(e.to_string()))?,
        why,
        event: serde_json::from_slice(&event).map_err(|e| wrong(e.to_string()))?,
    })
}
