#!/usr/bin/env bash
# A generated Terraform tree of 15,000 lines: our wall time and peak memory beside Checkov's on the same tree; then the
# lockfiles of this repository. Usage: bench/scan/run.sh [LINES]; medians of 5 runs, Checkov once.
set -euo pipefail
cd "$(dirname "$0")/../.."
lines=${1:-15000}
rounds=5
cargo build --quiet --release -p lem
lem=${CARGO_TARGET_DIR:-target}/release/lem
checkov=${XDG_CACHE_HOME:-$HOME/.cache}/lemniscate/checkov/bin/checkov
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 bench/scan/tree.py "$work/tree" "$lines"
mkdir "$work/locks"
cp Cargo.lock "$work/locks/"
if [ -f ui/package-lock.json ]; then cp ui/package-lock.json "$work/locks/"; fi

# measure NAME ROUNDS COMMAND...: median wall seconds and largest peak memory in megabytes, in $wall and $peak. Findings
# give exit code 1, which is what is expected here.
measure() {
  local name=$1 rounds=$2 walls=() peaks=() i code
  shift 2
  for i in $(seq "$rounds"); do
    local start=$EPOCHREALTIME
    code=0
    /usr/bin/time -f %M -o "$work/peak" "$@" > "$work/said" 2> "$work/talk" || code=$?
    if [ "$code" -gt 1 ]; then tail -5 "$work/talk" >&2; exit 1; fi
    walls+=("$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')")
    peaks+=("$(tail -1 "$work/peak" | awk '{ printf "%.1f", $1 / 1024 }')")
  done
  wall=$(printf '%s\n' "${walls[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")
  peak=$(printf '%s\n' "${peaks[@]}" | sort -n | tail -1)
  printf '%-28s %8s s %8s MB\n' "$name" "$wall" "$peak"
}

printf '%s lines of Terraform, median of %s\n' "$(cat "$work"/tree/*.tf | wc -l)" "$rounds"
measure "lem scan" "$rounds" "$lem" scan "$work/tree"
ours=$wall ours_peak=$peak
if [ -x "$checkov" ]; then
  measure "checkov" 1 "$checkov" --directory "$work/tree" --framework terraform --quiet --compact --skip-download
  awk -v a="$wall" -v b="$ours" 'BEGIN { printf "times faster: %.0f\n", a / b }'
else
  echo "checkov is not installed: no peer in this run (scripts/setup.sh bench)"
fi
measure "lem scan, own lockfiles" "$rounds" "$lem" scan "$work/locks"
awk -v a="$ours" -v m="$ours_peak" -v l="$wall" 'BEGIN { exit !(a <= 1 && m <= 100 && l <= 0.2) }' \
  || { echo "over a target: 1 s, 100 MB, 0.2 s"; exit 1; }
