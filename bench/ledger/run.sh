#!/usr/bin/env bash
# Durable appends per second and the time to verify 1,000,000 events, beside plain SQLite in the same run.
#   bench/ledger/run.sh [SECONDS] [EVENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10} events=${2:-1000000}
target=${CARGO_TARGET_DIR:-target}
cargo build --release -q -p lem-ledger --example throughput
work=$(mktemp -d "${TMPDIR:-/tmp}/lem-bench-ledger.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/append" "$work/verify"
field() { python3 -c "import json,sys; print(json.load(sys.stdin)['$1'])"; }

# 32 appenders of 100 events each wait together: 3200 is what one of our transactions takes at most.
ours=$("$target/release/examples/throughput" "$work/append" append "$seconds")
peer=$(python3 bench/ledger/peer.py "$work/peer.db" "$seconds" 3200)
echo "append, ours (hashed, signed, tiles):  $ours"
echo "append, plain SQLite (Python):         $peer"
python3 - "$(field per_second <<<"$ours")" "$(field per_second <<<"$peer")" <<'PY'
import sys
ours, peer = map(float, sys.argv[1:])
print("append: %d/s (target 20000: %s), ratio ours/peer %.2f" % (ours, "met" if ours >= 20000 else "missed", ours / peer))
PY
verified=$("$target/release/examples/throughput" "$work/verify" verify "$events")
echo "verify:                                $verified"
read=$(python3 - "$work/verify/ledger.db" <<'PY'
import hashlib, json, sqlite3, sys, time
started = time.monotonic()
n = 0
for row in sqlite3.connect(sys.argv[1]).execute("SELECT * FROM events ORDER BY seq"):
    hashlib.sha256(row[8]).digest(); n += 1
print(json.dumps({"events": n, "seconds": time.monotonic() - started}))
PY
)
echo "read and hash payloads only (Python):  $read"
python3 - "$(field seconds <<<"$verified")" "$(field seconds <<<"$read")" "$events" <<'PY'
import sys
ours, peer, events = map(float, sys.argv[1:])
limit = 5 * events / 1e6
print("verify: %.1f s (target %.1f: %s), ratio ours/peer %.2f" % (ours, limit, "met" if ours <= limit else "missed", ours / peer))
PY
