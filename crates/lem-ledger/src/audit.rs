//! Audit packages: a deterministic tar of selected events with all it takes to check them, offline and without us.

use crate::checkpoint::{ProofFile, PublicKey, SignedCheckpoint};
use crate::leaf::{Stored, commit};
use crate::{EventLog, Filter, Ledger, LedgerError, ProofOf, tree::Hash};
use lem_model::Seq;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};

/// Events in one package.
pub const MAX_PACKAGE_EVENTS: u64 = 100_000;
/// Bytes of one file in a package that is read.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// What a package says and proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Events in it.
    pub events: Vec<Seq>,
    /// Those of them whose payload was erased.
    pub erased: Vec<Seq>,
    /// The tree they are proven in.
    pub checkpoint: SignedCheckpoint,
    /// The key that signed it. Whose it is, only its owner can say: compare it.
    pub key: PublicKey,
}

fn broken(what: impl Into<String>, why: impl Into<String>) -> LedgerError {
    LedgerError::Malformed { what: what.into(), why: why.into() }
}

fn file<W: Write>(tar: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let fail = |e| LedgerError::file("write", std::path::Path::new(name), e);
    tar.append_data(&mut header, name, bytes).map_err(fail)
}

/// Writes a package of the events that pass. The same events under the same checkpoint give the same bytes.
pub async fn export<W: Write>(ledger: &Ledger, filter: &Filter, out: W) -> Result<Package, LedgerError> {
    let checkpoint = ledger.checkpoint().await?;
    let key = ledger.public_key().clone();
    let mut tar = tar::Builder::new(out);
    file(&mut tar, "checkpoint", checkpoint.note.as_bytes())?;
    file(&mut tar, "key.pub", format!("{key}\n").as_bytes())?;
    let mut package = Package { events: vec![], erased: vec![], checkpoint, key };
    let size = package.checkpoint.size;
    let mut list = String::new();
    let mut next = 0;
    loop {
        let rows = ledger.rows(next, filter, 1000).await?;
        let Some(last) = rows.last() else { break };
        next = last.seq + 1;
        for row in rows.iter().filter(|row| row.seq < size) {
            add(ledger, &mut tar, &mut package, row).await?;
            let cells = [&row.seq.to_string(), &row.time_occurred, &row.kind, &row.subject, &row.source];
            let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            let _ = writeln!(list, "<tr>{cells}</tr>");
        }
        let have = package.events.len() as u64;
        if have > MAX_PACKAGE_EVENTS {
            return Err(LedgerError::TooMuch { what: "events of a package", have, limit: MAX_PACKAGE_EVENTS });
        }
    }
    file(&mut tar, "index.html", index(&package, &list).as_bytes())?;
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .map_err(|e| LedgerError::file("write", std::path::Path::new("package"), e))?;
    Ok(package)
}

async fn add<W: Write>(
    ledger: &Ledger,
    tar: &mut tar::Builder<W>,
    package: &mut Package,
    row: &Stored,
) -> Result<(), LedgerError> {
    let (seq, size) = (row.seq, package.checkpoint.size);
    file(tar, &format!("events/{seq}.json"), row.leaf().as_bytes())?;
    match (&row.payload, &row.salt) {
        (Some(payload), Some(salt)) => {
            file(tar, &format!("payloads/{seq}.json"), payload)?;
            file(tar, &format!("salts/{seq}"), hex::encode(salt).as_bytes())?;
        }
        _ => package.erased.push(seq),
    }
    let path = ledger.prove(ProofOf::Inclusion { seq, size }).await?.path;
    let proof = ProofFile { index: seq, path, checkpoint: package.checkpoint.clone() };
    file(tar, &format!("proofs/{seq}.tlog-proof"), proof.to_string().as_bytes())?;
    package.events.push(seq);
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn index(package: &Package, list: &str) -> String {
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Audit package of {origin}</title>\n\
         <h1>Audit package of {origin}</h1>\n<p>{count} of {size} events. <code>events/N.json</code> is the leaf of event \
         N, <code>payloads/N.json</code> its document, <code>salts/N</code> the salt of its commitment, \
         <code>proofs/N.tlog-proof</code> the proof that it is in the tree of <code>checkpoint</code>, which \
         <code>key.pub</code> signed. Check the whole with <code>lem ledger verify --package FILE</code>, and that the \
         key is the one its owner published.</p>\n<p>Key: <code>{key}</code></p>\n<table>\n<tr><th>seq</th><th>time\
         </th><th>type</th><th>subject</th><th>source</th></tr>\n{list}</table>\n",
        origin = escape(&package.checkpoint.origin),
        count = package.events.len(),
        size = package.checkpoint.size,
        key = escape(&package.key.to_string()),
    )
}

fn contents(package: impl Read) -> Result<BTreeMap<String, Vec<u8>>, LedgerError> {
    let unreadable = |e: std::io::Error| broken("package", e.to_string());
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(package).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = entry.path().map_err(unreadable)?.display().to_string();
        if entry.size() > MAX_FILE_BYTES {
            return Err(LedgerError::TooMuch { what: "bytes of a file", have: entry.size(), limit: MAX_FILE_BYTES });
        }
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut bytes).map_err(unreadable)?;
        if files.insert(name.clone(), bytes).is_some() {
            return Err(broken(name, "is in the package twice"));
        }
    }
    Ok(files)
}

fn text(files: &mut BTreeMap<String, Vec<u8>>, name: &str) -> Result<String, LedgerError> {
    let bytes = files.remove(name).ok_or_else(|| broken(name, "is missing from the package"))?;
    String::from_utf8(bytes).map_err(|_| broken(name, "is no text"))
}

/// Checks a package: needs nothing but its bytes.
pub fn verify_export(package: impl Read) -> Result<Package, LedgerError> {
    let mut files = contents(package)?;
    let key = PublicKey::parse(&text(&mut files, "key.pub")?)?;
    let checkpoint = SignedCheckpoint::parse(&text(&mut files, "checkpoint")?)?;
    key.check(&checkpoint)?;
    let index_page = text(&mut files, "index.html")?;
    let names = files.keys().filter_map(|n| n.strip_prefix("events/")?.strip_suffix(".json"));
    let mut events: Vec<Seq> =
        names.map(|n| n.parse().map_err(|_| broken(n, "is no event number"))).collect::<Result<_, _>>()?;
    events.sort_unstable();
    let mut package = Package { events, erased: vec![], checkpoint, key };
    let mut list = String::new();
    for seq in package.events.clone() {
        let leaf = text(&mut files, &format!("events/{seq}.json"))?;
        let proof = ProofFile::parse(&text(&mut files, &format!("proofs/{seq}.tlog-proof"))?)?;
        if proof.index != seq || proof.checkpoint != package.checkpoint {
            return Err(broken(format!("proof of event {seq}"), "is about something else"));
        }
        proof.check(leaf.as_bytes(), &package.key)?;
        let fields: BTreeMap<String, String> =
            serde_json::from_str(&leaf).map_err(|e| broken(format!("event {seq}"), e.to_string()))?;
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        if files.contains_key(&format!("payloads/{seq}.json")) {
            opens(&mut files, seq, &field("commitment"))?;
        } else {
            package.erased.push(seq);
        }
        let cells = [seq.to_string(), field("time_occurred"), field("type"), field("subject"), field("source")];
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        let _ = writeln!(list, "<tr>{cells}</tr>");
    }
    if index(&package, &list) != index_page {
        return Err(broken("index.html", "does not say what is in the package"));
    }
    match files.into_keys().next() {
        Some(name) => Err(broken(name, "belongs to no event of the package")),
        None => Ok(package),
    }
}

/// The payload is the one that was committed to.
fn opens(files: &mut BTreeMap<String, Vec<u8>>, seq: Seq, commitment: &str) -> Result<(), LedgerError> {
    let payload = files.remove(&format!("payloads/{seq}.json")).unwrap_or_default();
    let salt = text(files, &format!("salts/{seq}"))?;
    let salt = hex::decode(salt).map_err(|_| broken(format!("salts/{seq}"), "is no hexadecimal"))?;
    let found: Hash = commit(&salt, &payload);
    if hex::encode(found) == commitment {
        Ok(())
    } else {
        Err(broken(format!("payloads/{seq}.json"), "does not match the commitment of the event"))
    }
}
