#!/usr/bin/env bash
# A private, throw-away PostgreSQL for tests and trials: a fresh cluster in a temporary folder, on a unix socket and a
# random loopback port.
#   postgres.sh start        prints url=..., dir=...
#   postgres.sh crash DIR    stops it at once, as if the power went
#   postgres.sh restart DIR  starts it again on the same port and data
#   postgres.sh stop DIR     stops it and deletes the folder
set -euo pipefail

bin=
for candidate in /usr/lib/postgresql/*/bin; do [ -x "$candidate/initdb" ] && bin=$candidate; done
if [ -z "$bin" ] && command -v initdb >/dev/null 2>&1; then bin=$(dirname "$(command -v initdb)"); fi
[ -n "$bin" ] || { echo "no PostgreSQL found; scripts/setup.sh installs Debian's" >&2; exit 2; }

# PostgreSQL refuses to run as root.
as_user() {
  if [ "$(id -u)" != 0 ]; then "$@"; return; fi
  local user=nobody
  if id postgres >/dev/null 2>&1; then user=postgres; fi
  setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- env -i PATH="$bin:/usr/bin:/bin" LC_ALL=C "$@"
}

ours() { # only folders this script made
  case "$(basename "$1")" in lem-postgres.*) [ -f "$1/port" ] ;; *) false ;; esac || { echo "$1 is no folder of ours" >&2; exit 2; }
}

up() {
  as_user "$bin/pg_ctl" -D "$1/data" -w -t 60 -l "$1/log" \
    -o "-p $(cat "$1/port") -k $1 -c listen_addresses=127.0.0.1" start >/dev/null ||
    { cat "$1/log" >&2; exit 3; }
}

case "${1:-}" in
start)
  dir=$(mktemp -d "${TMPDIR:-/tmp}/lem-postgres.XXXXXX")
  if [ "$(id -u)" = 0 ]; then
    if id postgres >/dev/null 2>&1; then chown postgres "$dir"; else chown nobody "$dir"; fi
  fi
  chmod 700 "$dir"
  as_user "$bin/initdb" -D "$dir/data" -U lem -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; rm -rf "$dir"; exit 3; }
  # A port can be taken between choosing and binding: try a few.
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    echo "$port" >"$dir/port"
    if (up "$dir") 2>/dev/null; then
      as_user "$bin/createdb" -h "$dir" -p "$port" -U lem lem
      echo "url=postgres://lem@127.0.0.1:$port/lem"
      echo "dir=$dir"
      exit 0
    fi
  done
  cat "$dir/log" >&2
  rm -rf "$dir"
  exit 3
  ;;
crash) ours "$2"; as_user "$bin/pg_ctl" -D "$2/data" -m immediate -w stop >/dev/null ;;
restart) ours "$2"; up "$2" ;;
stop)
  ours "$2"
  as_user "$bin/pg_ctl" -D "$2/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$2"
  ;;
*) sed -n '2,8p' "$0" >&2; exit 2 ;;
esac
