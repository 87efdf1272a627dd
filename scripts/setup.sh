#!/usr/bin/env bash
# Installs what is missing for building and testing on Debian or Ubuntu, and says what it installs.
# Idempotent: what is there is left alone. `scripts/setup.sh build` is enough to build and run; `test` adds what the
# tests drive (PostgreSQL, Chromium, nginx ...).
set -euo pipefail
what=${1:-test}
here=$(cd "$(dirname "$0")/.." && pwd)
say() { printf 'setup: %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    say "needs root to run: $*"; exit 2
  fi
}

packages=()
need() { # need PACKAGE COMMAND-OR-PATH
  command -v "$2" >/dev/null 2>&1 || [ -e "$2" ] || packages+=("$1")
}
need git git
need gcc cc
need make make
need curl curl
need ca-certificates /etc/ssl/certs/ca-certificates.crt
need nodejs node
command -v npm >/dev/null 2>&1 || packages+=(npm)
if [ "$what" = test ]; then
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql)
  need chromium chromium
  need python3 python3
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages+=(python3-venv)
fi
if [ "$what" = bench ]; then
  need nginx-light nginx
  need wrk wrk
fi
if [ ${#packages[@]} -gt 0 ]; then
  say "installing Debian packages: ${packages[*]}"
  as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null 2>&1 && [ ! -x "$HOME/.cargo/bin/cargo" ]; then
  say "installing the Rust toolchain with rustup"
  if ! command -v rustup-init >/dev/null 2>&1; then
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o /tmp/rustup-init.sh
    sh /tmp/rustup-init.sh -y --profile minimal --component clippy,rustfmt >/dev/null
  fi
fi
export PATH="$HOME/.cargo/bin:$PATH"
if [ "$what" = test ] && ! cargo nextest --version >/dev/null 2>&1; then
  say "installing cargo-nextest"
  cargo install --locked cargo-nextest >/dev/null
fi

if [ "$what" = bench ]; then
  peer=${XDG_CACHE_HOME:-$HOME/.cache}/lemniscate/checkov
  if [ ! -x "$peer/bin/checkov" ]; then
    say "installing checkov, the peer of the scan benchmark, into $peer"
    python3 -m venv "$peer" && "$peer/bin/pip" install --quiet checkov
  fi
fi

if [ "$what" = bench ]; then
  # Only unpacked: installing the package would start its service.
  peer=${XDG_CACHE_HOME:-$HOME/.cache}/lemniscate/prometheus
  if [ ! -x "$peer/prometheus" ] && ! command -v prometheus >/dev/null; then
    say "unpacking Prometheus, the peer of the start benchmark, into $peer"
    unpacked=$(mktemp -d)
    as_root apt-get update -qq
    (cd "$unpacked" && apt-get download -qq prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb .)
    mkdir -p "$peer"
    install -m 755 "$unpacked/usr/bin/prometheus" "$peer/prometheus"
    rm -rf "$unpacked"
  fi
fi

if [ ! -d "$here/ui/node_modules" ] || [ "$here/ui/package-lock.json" -nt "$here/ui/node_modules" ]; then
  if [ -f "$here/ui/package-lock.json" ]; then
    say "installing the web UI's packages (ui/node_modules)"
    (cd "$here/ui" && npm ci --no-audit --no-fund --loglevel=error) && touch "$here/ui/node_modules"
  fi
fi

# Clients that the tests drive against a running server. They live outside the repository.
clients=${XDG_CACHE_HOME:-$HOME/.cache}/lemniscate/clients
if [ "$what" = test ] && [ ! -x "$clients/bin/python" ]; then
  say "making a Python environment in $clients"
  python3 -m venv "$clients"
fi
python_clients=(prometheus-api-client==0.7.2 hvac==2.4.0)
if [ "$what" = test ] && [ "$(cat "$clients/python-clients" 2>/dev/null)" != "${python_clients[*]}" ]; then
  say "installing the Python packages ${python_clients[*]} in $clients"
  "$clients/bin/python" -m pip install --quiet --disable-pip-version-check "${python_clients[@]}"
  printf '%s\n' "${python_clients[*]}" >"$clients/python-clients"
fi
unpack() { # unpack PACKAGE COMMAND: only unpacked, as installing the package would start its service
  [ -x "$clients/bin/$2" ] && return
  say "unpacking $2 from the Debian package $1 into $clients"
  local unpacked
  unpacked=$(mktemp -d)
  as_root apt-get update -qq
  (cd "$unpacked" && apt-get download -qq "$1" >/dev/null 2>&1 && dpkg-deb -x "$1"_*.deb .)
  install -m 755 "$unpacked/usr/bin/$2" "$clients/bin/$2"
  rm -rf "$unpacked"
}
if [ "$what" = test ]; then
  unpack prometheus promtool
  unpack prometheus-alertmanager amtool
fi
say "ready for: $what"
