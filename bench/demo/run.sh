#!/usr/bin/env bash
# The whole story of the example, after the build: wall time, and how long bad releases stayed on traffic. The peer is the
# time the same four commits need when only their pipelines run (`npm test` of each, one after the other): what is above
# it is the loop's own.
#   bench/demo/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v node >/dev/null || { echo "node is missing: scripts/setup.sh bench" >&2; exit 2; }
# LEM names a binary that is there already.
if [ -z "${LEM:-}" ]; then
  cargo build --quiet --release -p lem
  LEM=${CARGO_TARGET_DIR:-target}/release/lem
fi
lem=$(realpath "$LEM")
work=$(mktemp -d "${TMPDIR:-/tmp}/lem-bench-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT

start=$EPOCHREALTIME
"$lem" --output json demo --exit --into "$work/demo" >"$work/summary.json" 2>"$work/talk" || {
  tail -20 "$work/talk" >&2
  exit 1
}
end=$EPOCHREALTIME
peer_start=$EPOCHREALTIME
for _ in 1 2 3 4; do (cd examples/shop && node --test test >/dev/null 2>&1) || true; done
peer_end=$EPOCHREALTIME
python3 - "$work/summary.json" "$start" "$end" "$peer_start" "$peer_end" <<'PY'
import json
import sys

summary = json.load(open(sys.argv[1]))
start, end, peer_start, peer_end = map(float, sys.argv[2:])
ours, peer = end - start, peer_end - peer_start
met = lambda good: "met" if good else "missed"
print(f"demo: {ours:.1f} s (target 150: {met(ours <= 150)}); tests alone {peer:.1f} s, ratio {ours / peer:.1f}")
for release in summary["releases"]:
    seconds = release.get("seconds_to_rollback")
    if release["outcome"] == "rolled_back" and seconds is not None:
        print(f"  {release['version'][:12]} rolled back after {seconds:.1f} s (target 60 for a bad canary)")
ledger = summary["ledger"]
print(f"  {len(summary['incidents'])} incidents, {ledger['events']} events, verified: {ledger['verified']}")
sys.exit(0 if ledger["verified"] else 1)
PY
