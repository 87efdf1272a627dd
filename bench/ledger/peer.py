"""The peer: plain SQLite from Python, same durability, row, indexes and transaction size; no hashes, no signatures."""

import json
import os
import sqlite3
import sys
import time

path, seconds, batch = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=FULL")
db.execute("PRAGMA cache_size=-16000")
db.execute(
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT, type TEXT, time_occurred TEXT, time_received TEXT,"
    " source TEXT, subject TEXT, chain TEXT, payload BLOB, salt BLOB, commitment BLOB, leaf_hash BLOB)"
)
db.execute("CREATE UNIQUE INDEX events_id ON events (id, source)")
db.execute("CREATE INDEX events_type ON events (type, seq)")
db.execute("CREATE INDEX events_subject ON events (subject, seq)")
db.execute("CREATE INDEX events_chain ON events (chain, seq) WHERE chain IS NOT NULL")
db.execute("CREATE INDEX events_time ON events (time_occurred, seq)")


def row(n):
    run, sha = f"run-{n // 4}", f"{n // 10:040x}"
    now = "2026-01-01T00:00:00.000000000Z"
    payload = json.dumps({"context": {"specversion": "0.5.1", "id": n, "chainId": sha}, "subject": {"id": run}, "pad": "x" * 420})
    return (n, f"01900000-0000-7000-8000-{n:012x}", "dev.cdevents.pipelinerun.finished.0.3.0", now, now,
            "/lem/pipeline", run, sha, payload.encode(), os.urandom(32), os.urandom(32), os.urandom(32))


started, n = time.monotonic(), 0
while time.monotonic() - started < seconds:
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", [row(n + i) for i in range(batch)])
    db.execute("COMMIT")
    n += batch
took = time.monotonic() - started
print(json.dumps({"events": n, "seconds": took, "per_second": int(n / took)}))
