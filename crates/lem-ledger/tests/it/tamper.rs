//! Nothing can be changed unseen.

use crate::conform::sqlite;
use lem_ledger::{Erasure, EventLog, Filter, Ledger, LedgerError, Options, ProofFile, Verdict, verify};
use lem_testkit::sample_events;
use rusqlite::Connection;
use std::path::Path;

fn options(dir: &Path) -> Options {
    Options::new(format!("sqlite:{}", dir.join("ledger.db").display()), dir)
}

fn change(dir: &Path, sql: &str) {
    Connection::open(dir.join("ledger.db")).unwrap().execute_batch(sql).unwrap();
}

/// A closed ledger of `count` events, its log folded into the file.
async fn filled(dir: &Path, count: u64) {
    let ledger = sqlite(dir).await;
    let mut from = 0;
    while from < count {
        ledger.append(sample_events(from, 300.min(count - from))).await.unwrap();
        from += 300;
    }
    ledger.close().await.unwrap();
    drop(ledger);
    change(dir, "PRAGMA wal_checkpoint(TRUNCATE)");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn an_untouched_ledger_is_intact_also_while_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = sqlite(dir.path()).await;
    ledger.append(sample_events(0, 700)).await.unwrap();
    let signed = ledger.checkpoint().await.unwrap();
    ledger.erase(5, &Erasure { reason: "asked".into(), by: "person:ann".into() }).await.unwrap();
    let verdict = verify(&options(dir.path()), &[signed]).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact { size: 701, .. }), "{verdict:?}");
}

#[tokio::test]
async fn every_changed_column_is_found_and_named() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path(), 700).await;
    for (sql, bad) in [
        (
            "UPDATE events SET payload = CAST(replace(CAST(payload AS TEXT), 'quoted', 'quotes') AS BLOB) WHERE seq = 3",
            3,
        ),
        ("UPDATE events SET salt = zeroblob(32) WHERE seq = 4", 4),
        ("UPDATE events SET commitment = zeroblob(32) WHERE seq = 5", 5),
        ("UPDATE events SET leaf_hash = zeroblob(32) WHERE seq = 6", 6),
        ("UPDATE events SET subject = 'x' WHERE seq = 699", 699),
        ("UPDATE events SET chain = NULL WHERE seq = 9", 9),
        ("UPDATE events SET chain = '' WHERE seq = 10", 10),
        ("UPDATE events SET type = 'x' WHERE seq = 11", 11),
        ("UPDATE events SET time_received = '2020-01-01T00:00:00.000000000Z' WHERE seq = 12", 12),
        ("UPDATE events SET payload = NULL, salt = NULL WHERE seq = 13", 13),
        ("DELETE FROM events WHERE seq = 14", 14),
        ("DELETE FROM events WHERE seq > 650", 651),
        ("UPDATE events SET seq = 5000 WHERE seq = 20", 20),
        ("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 600", 300),
        ("UPDATE checkpoints SET note = replace(note, 'ledger', 'other') WHERE size = 600", 300),
    ] {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        change(dir.path(), sql);
        let verdict = verify(&options(dir.path()), &[]).await.unwrap();
        let Verdict::Tampered { first_bad, why } = verdict else { panic!("{sql}: {verdict:?}") };
        assert_eq!(first_bad, bad, "{sql}: {why}");
    }
}

/// A row rewritten with its commitment and leaf hash, as someone does who knows the format.
#[tokio::test]
async fn a_consistent_rewrite_is_found_by_tile_and_by_checkpoint() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path(), 700).await;
    let other = tempfile::tempdir().unwrap();
    filled(other.path(), 700).await;
    // The other ledger's row is good in itself.
    let theirs = format!("ATTACH '{}' AS other", other.path().join("ledger.db").display());
    let swap = |seq: u64| format!("REPLACE INTO events SELECT * FROM other.events WHERE seq = {seq}");
    for (seq, tiles, expect) in [(40, true, 40), (40, false, 0), (620, false, 600)] {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        change(dir.path(), &format!("{theirs}; {}", swap(seq)));
        if !tiles {
            std::fs::remove_dir_all(dir.path().join("tiles")).unwrap();
        }
        let verdict = verify(&options(dir.path()), &[]).await.unwrap();
        assert!(matches!(verdict, Verdict::Tampered { first_bad, .. } if first_bad == expect), "{seq}: {verdict:?}");
        let error = Ledger::open(options(dir.path())).await.unwrap().append(sample_events(9000, 1)).await.unwrap_err();
        assert!(matches!(error, LedgerError::ReadOnly { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_of_an_event_is_found() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path(), 300).await;
    let file = std::fs::read(base.path().join("ledger.db")).unwrap();
    // Every place a payload, id or leaf hash of event 17 stands in the file; indexes hold copies of ids.
    let columns = "SELECT payload, salt, commitment, leaf_hash FROM events WHERE seq = 17";
    let fields: [Vec<u8>; 4] = Connection::open(base.path().join("ledger.db"))
        .unwrap()
        .query_row(columns, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy(base.path(), dir.path());
    for field in fields {
        let at = file.windows(field.len()).position(|w| w == field).unwrap();
        for offset in (0..field.len()).step_by(7) {
            let mut bytes = file.clone();
            bytes[at + offset] ^= 0x10;
            std::fs::write(dir.path().join("ledger.db"), bytes).unwrap();
            let verdict = verify(&options(dir.path()), &[]).await.unwrap();
            assert!(matches!(verdict, Verdict::Tampered { first_bad: 17, .. }), "byte {}: {verdict:?}", at + offset);
        }
    }
    // Anywhere at all: never a panic, and where it is called intact, the events are what they were.
    let events = |dir: &Path| {
        let options = options(dir);
        async move { Ledger::open(options).await.unwrap().read(0, &Filter::all(), 1000).await.unwrap() }
    };
    copy(base.path(), dir.path());
    let good = events(dir.path()).await;
    let mut found = 0;
    for at in (0..file.len()).step_by(file.len() / 150) {
        let mut bytes = file.clone();
        bytes[at] ^= 0x04;
        for leftover in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(leftover));
        }
        std::fs::write(dir.path().join("ledger.db"), bytes).unwrap();
        match verify(&options(dir.path()), &[]).await {
            Ok(Verdict::Intact { .. }) => {
                if let Ok(ledger) = Ledger::open(options(dir.path())).await {
                    let now = ledger.read(0, &Filter::all(), 1000).await.unwrap();
                    assert!(now == good, "byte {at} changed an event unseen");
                }
            }
            _ => found += 1,
        }
    }
    assert!(found > 50, "most of the file is events, {found} flips were found");
}

#[tokio::test]
async fn an_older_copy_of_the_database_is_not_signed_on() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 300).await;
    let old = std::fs::read(dir.path().join("ledger.db")).unwrap();
    let ledger = sqlite(dir.path()).await;
    ledger.append(sample_events(300, 300)).await.unwrap();
    ledger.close().await.unwrap();
    drop(ledger);
    for leftover in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(leftover));
    }
    std::fs::write(dir.path().join("ledger.db"), old).unwrap();
    let ledger = sqlite(dir.path()).await;
    let error = ledger.append(sample_events(900, 1)).await.unwrap_err().to_string();
    assert_eq!(error, "ledger is read-only: 600 events were signed, 300 are there");
    assert_eq!(ledger.read(0, &Filter::all(), 5).await.unwrap().len(), 5, "reading goes on");
    assert!(matches!(ledger.checkpoint().await, Err(LedgerError::ReadOnly { .. })));
}

#[tokio::test]
async fn proof_files_and_tiles_are_good_for_outsiders() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = sqlite(dir.path()).await;
    for from in (0..4500).step_by(500) {
        ledger.append(sample_events(from, 500)).await.unwrap();
    }
    for seq in [0, 255, 256, 4095, 4096, 4499] {
        let file = ProofFile::parse(&ledger.proof_file(seq).await.unwrap().to_string()).unwrap();
        let leaf = ledger.leaf(seq).await.unwrap();
        file.check(leaf.as_bytes(), ledger.public_key()).unwrap();
        let changed = leaf.replace("\"v\":\"1\"", "\"v\":\"2\"");
        assert!(file.check(changed.as_bytes(), ledger.public_key()).is_err());
    }
    ledger.close().await.unwrap();
    let tiles = ledger.tiles();
    let size = |name: &str| std::fs::metadata(tiles.join(name)).map(|m| m.len()).ok();
    assert_eq!(size("tile/0/016"), Some(8192));
    assert_eq!(size("tile/0/017.p/148"), Some(148 * 32));
    assert_eq!(size("tile/1/000.p/17"), Some(17 * 32));
    let note = std::fs::read_to_string(tiles.join("checkpoint")).unwrap();
    assert!(note.contains("\n4500\n"), "{note}");
    // Entry bundles: big-endian length, then the leaf; hashing them gives the tile.
    let entries = std::fs::read(tiles.join("tile/entries/016")).unwrap();
    let (mut at, mut hashes) = (0, Vec::new());
    while at < entries.len() {
        let length = usize::from(u16::from_be_bytes([entries[at], entries[at + 1]]));
        hashes.extend(lem_ledger::tree::leaf_hash(&entries[at + 2..at + 2 + length]));
        at += 2 + length;
    }
    assert_eq!(hashes, std::fs::read(tiles.join("tile/0/016")).unwrap());
    // Lost tiles come back.
    let before = std::fs::read(tiles.join("tile/1/000.p/17")).unwrap();
    std::fs::remove_dir_all(tiles).unwrap();
    let again = sqlite(dir.path()).await;
    again.append(sample_events(4500, 1)).await.unwrap();
    again.close().await.unwrap();
    assert_eq!(std::fs::read(tiles.join("tile/1/000.p/17")).unwrap(), before);
    assert_eq!(size("tile/0/000"), Some(8192));
}
