#!/usr/bin/env bash
# 100 trivial jobs: our wall time and peak memory against a plain shell loop, and against gitlab-ci-local where it is.
# Usage: bench/pipeline/run.sh [JOBS]; prints medians of 5 runs and their ratio.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=${1:-100}
rounds=5
parallel=$(nproc)
cargo build --quiet --release -p lem-pipeline --example run
runner=${CARGO_TARGET_DIR:-target}/release/examples/run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/ours/.github/workflows" "$work/peer"
{
  printf 'on: push\njobs:\n'
  for i in $(seq "$jobs"); do
    printf '  job%s:\n    runs-on: ubuntu-latest\n    steps:\n    - run: echo %s\n' "$i" "$i"
  done
} > "$work/ours/.github/workflows/ci.yml"
for i in $(seq "$jobs"); do printf '%s:\n  script:\n  - echo %s\n' "job$i" "$i"; done > "$work/peer/.gitlab-ci.yml"
git -C "$work/ours" init -q
git -C "$work/peer" init -q
for repository in ours peer; do
  git -C "$work/$repository" add -A
  git -C "$work/$repository" -c user.name=bench -c user.email=bench@example.org commit -qm bench
done

# measure NAME COMMAND...: median wall seconds and largest peak memory in megabytes, in $wall and $peak
measure() {
  local name=$1 walls=() peaks=() i
  shift
  for i in $(seq "$rounds"); do
    local start=$EPOCHREALTIME w p
    # A small launcher: the peak of a process counts what its parent had in memory when it was forked.
    if ! /usr/bin/time -f %M -o "$work/peak" "$@" > "$work/said" 2>&1; then
      tail -5 "$work/said" >&2
      exit 1
    fi
    w=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')
    p=$(awk '{ printf "%.1f", $1 / 1024 }' "$work/peak")
    walls+=("$w")
    peaks+=("$p")
  done
  wall=$(printf '%s\n' "${walls[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")
  peak=$(printf '%s\n' "${peaks[@]}" | sort -n | tail -1)
  printf '%-24s %8s s %8s MB\n' "$name" "$wall" "$peak"
}

printf '%s trivial jobs, %s at once, median of %s\n' "$jobs" "$parallel" "$rounds"
measure "lem (sandboxed)" "$runner" "$work/ours"
ours=$wall
measure "xargs -P, bash -e" bash -c "seq $jobs | xargs -P $parallel -I{} bash -e -c 'echo {}' > '$work/out'"
floor=$wall
awk -v a="$ours" -v b="$floor" 'BEGIN { printf "ratio to the bare loop: %.2f\n", a / b }'
if command -v gitlab-ci-local > /dev/null; then
  measure "gitlab-ci-local" gitlab-ci-local --cwd "$work/peer" --concurrency "$parallel" --shell-executor-no-image
  awk -v a="$ours" -v b="$wall" 'BEGIN { printf "ratio to gitlab-ci-local: %.2f\n", a / b }'
else
  echo "gitlab-ci-local is not installed: no peer in this run (npm install -g gitlab-ci-local)"
fi
awk -v a="$ours" 'BEGIN { exit !(a <= 0.5) }' || { echo "over the target of 0.5 s"; exit 1; }
