//! Is the history the one that was signed? Recomputes leaves, tree and signatures from the store alone, offline.
//!
//! What it covers are the facts: every column of every event, the leaf hashes, the checkpoints and the tiles. Indexes and
//! unused bytes of a database file carry no facts.

use crate::checkpoint::{PublicKey, SignedCheckpoint};
use crate::db::{Db, DbError, Row, Value, sqlite::Open};
use crate::leaf::Stored;
use crate::ledger::{Options, connect, inspect};
use crate::tree::{Edge, Hash, TILE};
use crate::{ERASED_TYPE, LedgerError, sql, tiles};
use lem_model::Seq;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows read at once by one worker.
const PAGE: u64 = 1024;
/// Workers at most.
const WORKERS: usize = 8;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as it was signed.
    Intact {
        /// Events.
        size: Seq,
        /// Root over them.
        root: Hash,
        /// Checkpoints that agree.
        checkpoints: u64,
    },
    /// Something was changed.
    Tampered {
        /// The first event that is not as it was; where only a root can tell, the first it may be.
        first_bad: Seq,
        /// What disagrees.
        why: String,
    },
    /// The database cannot read some of its own pages.
    Unreadable {
        /// First event that cannot be read.
        from: Seq,
        /// The first after them; equal to `from` when nothing can be read at all.
        to: Seq,
        /// What the database says.
        why: String,
    },
}

/// One worker's findings on a page.
#[derive(Default)]
struct Page {
    hashes: Vec<Hash>,
    bare: Vec<Seq>,
    erased: Vec<Seq>,
    bad: Option<Verdict>,
}

fn corrupt(from: Seq, to: Seq, error: &dyn std::error::Error) -> Verdict {
    Verdict::Unreadable { from, to, why: error.to_string() }
}

/// Checks the store at `options.url` with the key and tiles of `options.data`, and that it extends the checkpoints of
/// `against`, which were published elsewhere. Changes nothing; the ledger may be in use.
pub async fn verify(options: &Options, against: &[SignedCheckpoint]) -> Result<Verdict, LedgerError> {
    let path = options.public_path();
    let text = std::fs::read_to_string(&path).map_err(|e| LedgerError::file("read", &path, e))?;
    let keys = text.lines().map(PublicKey::parse).collect::<Result<Vec<_>, _>>()?;
    let db = match connect(&options.url, Open::ReadOnly, None).await {
        Ok(db) => db,
        Err(error @ LedgerError::NotALedger { .. }) => return Ok(corrupt(0, 0, &error)),
        Err(error) => return Err(error),
    };
    match inspect(db.as_ref()).await {
        Ok(true) => {}
        Ok(false) => return Ok(Verdict::Tampered { first_bad: 0, why: "there are no tables".into() }),
        Err(error @ LedgerError::Newer { .. }) => return Err(error),
        Err(error) => return Ok(corrupt(0, 0, &error)),
    }
    let pages = match rows(&db).await {
        Ok(pages) => pages,
        Err(verdict) => return Ok(verdict),
    };
    let (bare, erased) = (pages.iter().flat_map(|p| &p.bare), pages.iter().flat_map(|p| &p.erased));
    let erased: BTreeSet<_> = erased.collect();
    if let Some(seq) = bare.into_iter().find(|seq| !erased.contains(seq)) {
        let why = "its payload is gone and no event says that it was erased".into();
        return Ok(Verdict::Tampered { first_bad: *seq, why });
    }
    let hashes: Vec<Hash> = pages.into_iter().flat_map(|p| p.hashes).collect();
    if let Some(verdict) = tiles_differ(&options.tiles(), &hashes) {
        return Ok(verdict);
    }
    let signed = match checkpoints(db.as_ref(), &options.tiles(), against).await {
        Ok(signed) => signed,
        Err(verdict) => return Ok(verdict),
    };
    Ok(roots(&hashes, &signed, &keys))
}

/// Every row by itself, on all cores.
async fn rows(db: &Arc<dyn Db>) -> Result<Vec<Page>, Verdict> {
    let answer = db.fetch(sql::SIZE, vec![]).await.map_err(|e| corrupt(0, 0, &e))?;
    let size = answer.into_iter().flatten().next().map_or(0, |v| v.int().max(0) as u64);
    let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(WORKERS);
    let tasks: Vec<_> =
        (0..workers).map(|_| tokio::spawn(work(Arc::clone(db), Arc::clone(&next), Arc::clone(&stop), size))).collect();
    let mut pages = Vec::new();
    for task in tasks {
        pages.extend(task.await.map_err(|e| corrupt(0, size, &e))?);
    }
    pages.sort_by_key(|(start, _)| *start);
    let mut good = Vec::with_capacity(pages.len());
    for (_, mut page) in pages {
        match page.bad.take() {
            Some(bad) => return Err(bad),
            None => good.push(page),
        }
    }
    Ok(good)
}

async fn work(db: Arc<dyn Db>, next: Arc<AtomicU64>, stop: Arc<AtomicU64>, size: Seq) -> Vec<(Seq, Page)> {
    let mut pages = Vec::new();
    loop {
        let start = next.fetch_add(PAGE, Ordering::Relaxed);
        if start >= size || start >= stop.load(Ordering::Relaxed) {
            return pages;
        }
        let end = (start + PAGE).min(size);
        let page = match fetch(db.as_ref(), start, end).await {
            Ok(rows) => check(start, end, rows),
            Err(_) => Page { bad: Some(narrow(db.as_ref(), start, end).await), ..Page::default() },
        };
        if page.bad.is_some() {
            stop.fetch_min(start, Ordering::Relaxed);
        }
        pages.push((start, page));
    }
}

async fn fetch(db: &dyn Db, from: Seq, to: Seq) -> Result<Vec<Row>, DbError> {
    let text = format!("SELECT {} FROM events WHERE seq >= $1 AND seq < $2 ORDER BY seq", sql::COLUMNS);
    db.fetch(&text, vec![Value::Int(from as i64), Value::Int(to as i64)]).await
}

fn check(start: Seq, end: Seq, rows: Vec<Row>) -> Page {
    let mut page = Page { hashes: Vec::with_capacity(rows.len()), ..Page::default() };
    let bad = |first_bad, why: String| Some(Verdict::Tampered { first_bad, why });
    let mut expect = start;
    for row in rows {
        let row = Stored::of(row);
        if row.seq != expect {
            page.bad = bad(expect, format!("the event is missing, {} follows", row.seq));
            return page;
        }
        if let Some(why) = row.fault() {
            page.bad = bad(expect, why);
            return page;
        }
        if row.payload.is_none() {
            page.bare.push(expect);
        }
        if row.kind == ERASED_TYPE {
            page.erased.extend(erased_seq(&row));
        }
        page.hashes.push(Hash::try_from(row.leaf_hash.as_slice()).unwrap_or_default());
        expect += 1;
    }
    if expect < end {
        page.bad = bad(expect, "the event is missing".into());
    }
    page
}

fn erased_seq(row: &Stored) -> Option<Seq> {
    let document: serde_json::Value = serde_json::from_slice(row.payload.as_deref()?).ok()?;
    document.pointer("/subject/content/seq")?.as_u64()
}

/// The first row of a page that does not read.
async fn narrow(db: &dyn Db, mut from: Seq, mut to: Seq) -> Verdict {
    let page_end = to;
    loop {
        let middle = from + (to - from) / 2;
        let first = if middle > from { fetch(db, from, middle).await } else { Ok(Vec::new()) };
        if let Ok(rows) = &first
            && middle > from
            && let Some(bad) = check(from, middle, rows.clone()).bad
        {
            return bad;
        }
        match first {
            Err(_) => to = middle,
            Ok(_) if middle > from => from = middle,
            Ok(_) => break,
        }
    }
    match fetch(db, from, to).await {
        Ok(rows) => check(from, to, rows).bad.unwrap_or(Verdict::Unreadable {
            from,
            to: page_end,
            why: "rows read one by one, but not together".into(),
        }),
        Err(error @ DbError::Column { .. }) => {
            Verdict::Tampered { first_bad: from, why: format!("a column does not read: {error}") }
        }
        Err(error) => corrupt(from, to, &error),
    }
}

fn tiles_differ(dir: &Path, hashes: &[Hash]) -> Option<Verdict> {
    for (index, leaves) in hashes.chunks_exact(TILE as usize).enumerate() {
        let path = dir.join(format!("tile/0/{}", tiles::index_path(index as u64)));
        // Tiles can be written again from the rows, so a missing one is no finding.
        let Ok(bytes) = std::fs::read(path) else { continue };
        if bytes == leaves.as_flattened() {
            continue;
        }
        let at = leaves.iter().zip(bytes.chunks(32)).position(|(leaf, tile)| leaf[..] != *tile).unwrap_or(0);
        let why = "the event does not match the tile that was written when it was appended".into();
        return Some(Verdict::Tampered { first_bad: index as u64 * TILE + at as u64, why });
    }
    None
}

async fn checkpoints(
    db: &dyn Db,
    tiles: &Path,
    against: &[SignedCheckpoint],
) -> Result<Vec<SignedCheckpoint>, Verdict> {
    let mut all = Vec::new();
    let mut after = -1;
    loop {
        let rows = db.fetch(sql::ALL_SIGNED, vec![Value::Int(after)]).await.map_err(|e| corrupt(0, 0, &e))?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let mut columns = row.into_iter();
            let mut next = || columns.next().unwrap_or(Value::Null);
            let (size, root, note) = (next().int(), next().blob(), next().text());
            let tampered = |why: String| Verdict::Tampered { first_bad: after.max(0) as u64, why };
            let signed = SignedCheckpoint::parse(&note).map_err(|e| tampered(format!("checkpoint {size}: {e}")))?;
            if signed.size as i64 != size || signed.root[..] != root[..] {
                return Err(tampered(format!("checkpoint {size} does not match its note")));
            }
            after = size;
            all.push(signed);
        }
    }
    match tiles::checkpoint(tiles) {
        Ok(on_disk) => all.extend(on_disk),
        Err(error) => return Err(Verdict::Tampered { first_bad: 0, why: format!("checkpoint file: {error}") }),
    }
    all.extend_from_slice(against);
    all.sort_by_key(|c| c.size);
    Ok(all)
}

/// The tree over the rows against every checkpoint, smallest first.
fn roots(hashes: &[Hash], signed: &[SignedCheckpoint], keys: &[PublicKey]) -> Verdict {
    let mut edge = Edge::default();
    let mut agreed = 0;
    for checkpoint in signed {
        let tampered = |why| Verdict::Tampered { first_bad: agreed, why };
        let checks: Vec<_> = keys.iter().map(|key| key.check(checkpoint)).collect();
        if !checks.iter().any(Result::is_ok) {
            let why = checks.into_iter().find_map(Result::err).map_or("no key is known".into(), |e| e.to_string());
            return tampered(format!("checkpoint of {} events: {why}", checkpoint.size));
        }
        if checkpoint.size > hashes.len() as u64 {
            let (first_bad, signed) = (hashes.len() as u64, checkpoint.size);
            return Verdict::Tampered { first_bad, why: format!("{signed} events were signed, {first_bad} are there") };
        }
        for hash in &hashes[edge.size() as usize..checkpoint.size as usize] {
            edge.push(*hash);
        }
        if edge.root() != checkpoint.root {
            let why =
                format!("events {agreed} to {} are not those that were signed", checkpoint.size.saturating_sub(1));
            return tampered(why);
        }
        agreed = checkpoint.size;
    }
    for hash in &hashes[edge.size() as usize..] {
        edge.push(*hash);
    }
    Verdict::Intact { size: edge.size(), root: edge.root(), checkpoints: signed.len() as u64 }
}
