#!/usr/bin/env bash
# How fast `lem up` is ready in an empty git repository and what it holds in memory when idle, beside Prometheus of Debian;
# and how fast `lem --version` answers, beside `git --version`. Medians of ROUNDS, taking turns.
#   bench/up/run.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5}
PATH=$PATH:${XDG_CACHE_HOME:-$HOME/.cache}/lemniscate/prometheus
for tool in git curl python3; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: scripts/setup.sh bench" >&2; exit 2; }
done
# LEM names a binary that is there already.
if [ -z "${LEM:-}" ]; then
  cargo build --quiet --release -p lem
  LEM=${CARGO_TARGET_DIR:-target}/release/lem
fi
lem=$(realpath "$LEM")
work=$(mktemp -d "${TMPDIR:-/tmp}/lem-bench-up.XXXXXX")
pid=
clean() {
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# ready NAME PORT PATH COMMAND...: milliseconds until the port answers 200, and resident megabytes after two idle seconds
ready() {
  local name=$1 port=$2 path=$3 start
  shift 3
  start=$EPOCHREALTIME
  "$@" >"$work/$name.log" 2>&1 &
  pid=$!
  until curl --silent --fail --output /dev/null --max-time 1 "http://127.0.0.1:$port$path"; do
    kill -0 "$pid" 2>/dev/null || { echo "$name ended:" >&2; tail -5 "$work/$name.log" >&2; exit 1; }
    sleep 0.002
  done
  awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.0f\n", (b - a) * 1000 }' >>"$work/$name.ms"
  sleep 2
  awk '/^VmRSS/ { printf "%.1f\n", $2 / 1024 }' "/proc/$pid/status" >>"$work/$name.mb"
  kill "$pid"; wait "$pid" 2>/dev/null || true
  pid=
}

# said NAME COMMAND...: milliseconds of one start, of twenty
said() {
  local name=$1 start
  shift
  start=$EPOCHREALTIME
  for _ in $(seq 20); do "$@" >/dev/null; done
  awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", (b - a) * 50 }' >>"$work/$name.ms"
}

# row WHAT UNIT OURS TARGET PEER-NAME PEER
row() {
  awk -v what="$1" -v unit="$2" -v ours="$3" -v target="$4" -v name="$5" -v peer="$6" 'BEGIN {
    line = sprintf("%-28s %8.1f %s (target %s: %s)", what, ours, unit, target, ours <= target ? "met" : "missed")
    print peer == "" ? line "; " name " is not installed" : line sprintf("; %s %.1f %s, ratio %.2f", name, peer, unit, ours / peer) }'
}

peer=
if command -v prometheus >/dev/null; then
  peer=prometheus
  printf 'global: {scrape_interval: 15s}\n' >"$work/prometheus.yml"
fi
for round in $(seq "$rounds"); do
  mkdir "$work/repository-$round"
  git -C "$work/repository-$round" init --quiet --initial-branch main
  port=$(free_port)
  ready lem "$port" /-/ready "$lem" -C "$work/repository-$round" up --listen "127.0.0.1:$port"
  if [ -n "$peer" ]; then
    port=$(free_port)
    ready prometheus "$port" /-/ready prometheus --config.file="$work/prometheus.yml" \
      --storage.tsdb.path="$work/tsdb-$round" --web.listen-address="127.0.0.1:$port" --log.level=error
  fi
  said version "$lem" --version
  said git git --version
done
of() { if [ -f "$work/$1" ]; then median <"$work/$1"; fi; }
row "lem up ready" ms "$(of lem.ms)" 300 prometheus "$(of prometheus.ms)"
row "lem up idle, resident" MB "$(of lem.mb)" 60 prometheus "$(of prometheus.mb)"
row "lem --version" ms "$(of version.ms)" 10 "git --version" "$(of git.ms)"
