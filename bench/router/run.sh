#!/usr/bin/env bash
# CPU time per proxied request of the router against nginx, same machine, same origin, taking turns;
# then weight changes under load. Takes about a minute once the examples are built.
#
#   bash bench/router/run.sh              ROUNDS=5 SECONDS_EACH=3 CONNECTIONS=64 by default
#
# CPU time is user plus system time from /proc, so a busy machine changes it little; requests per second
# are shown for orientation only. Part two fails the script when a request is lost.
set -euo pipefail

ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-3}
CONNECTIONS=${CONNECTIONS:-64}
LIMIT=1.3

cd "$(dirname "$0")/../.."

for tool in nginx wrk cargo; do
    if ! command -v "$tool" >/dev/null && ! [ -x "/usr/sbin/$tool" ]; then
        if [ "$tool" = cargo ]; then
            echo "cargo is missing: install Rust from https://rustup.rs" >&2
        else
            echo "$tool is missing: apt-get install $tool" >&2
        fi
        exit 2
    fi
done
PATH=$PATH:/usr/sbin

echo "building the examples as they are shipped (profile dist)" >&2
cargo build --quiet --profile dist -p lem-engine-router --examples
TARGET=${CARGO_TARGET_DIR:-target}/dist/examples

DIR=$(mktemp -d)
PIDS=()
clean() {
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$DIR"
}
trap clean EXIT
trap 'exit 130' INT TERM

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
ORIGIN=$(free_port) NGINX=$(free_port) OURS=$(free_port)

# wait_for PORT: until somebody listens there
wait_for() {
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
    echo "nothing listens on port $1" >&2
    cat "$DIR"/*/error.log >&2 || true
    exit 1
}

# start_nginx NAME SERVER_BLOCK: one worker in the foreground with a configuration of its own
start_nginx() {
    mkdir -p "$DIR/$1/tmp"
    cat >"$DIR/$1/nginx.conf" <<EOF
daemon off;
worker_processes 1;
pid $DIR/$1/pid;
error_log $DIR/$1/error.log warn;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $DIR/$1/tmp; proxy_temp_path $DIR/$1/tmp; fastcgi_temp_path $DIR/$1/tmp;
    uwsgi_temp_path $DIR/$1/tmp; scgi_temp_path $DIR/$1/tmp;
    $2
}
EOF
    nginx -p "$DIR/$1" -e "$DIR/$1/error.log" -c "$DIR/$1/nginx.conf" &
    PIDS+=($!)
}

mkdir "$DIR/www"
printf '%0126d' 0 >"$DIR/www/small.txt"
# nginx as root hands its worker to another user, who must be able to read this.
chmod 755 "$DIR" "$DIR/www"
start_nginx origin "server { listen 127.0.0.1:$ORIGIN backlog=1024; root $DIR/www; tcp_nodelay on; }"
start_nginx proxy "upstream origin { server 127.0.0.1:$ORIGIN; keepalive 256; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:$NGINX backlog=1024;
        location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection '';
            proxy_set_header Host \$host; proxy_set_header X-Forwarded-For \$remote_addr;
            proxy_set_header X-Forwarded-Proto \$scheme; proxy_set_header X-Forwarded-Host \$host;
            add_header x-release v1; } }"
"$TARGET/route" "127.0.0.1:$OURS" "127.0.0.1:$ORIGIN" "${WORKERS:-1}" >/dev/null &
OURS_PID=$!
PIDS+=("$OURS_PID")
for port in "$ORIGIN" "$NGINX" "$OURS"; do wait_for "$port"; done
NGINX_PID=$(pgrep -P "$(cat "$DIR/proxy/pid")" | head -1)

TICKS=$(getconf CLK_TCK)
# cpu PID: user plus system time in ticks; the command name may hold spaces, so count from its end
cpu() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }

# measure PID PORT: "microseconds-per-request requests-per-second"
measure() {
    local before after
    before=$(cpu "$1")
    wrk -t1 -c"$CONNECTIONS" -d"${SECONDS_EACH}s" "http://127.0.0.1:$2/small.txt" >"$DIR/wrk"
    after=$(cpu "$1")
    if grep -q -e 'Non-2xx' -e 'Socket errors' "$DIR/wrk"; then
        cat "$DIR/wrk" >&2
        exit 1
    fi
    awk -v ticks=$((after - before)) -v hz="$TICKS" '
        /requests in/ { n = $1 } /^Requests\/sec/ { rps = $2 }
        END { printf "%.2f %.0f\n", ticks / hz * 1e6 / n, rps }' "$DIR/wrk"
}

SECONDS_EACH=1 measure "$OURS_PID" "$OURS" >/dev/null
SECONDS_EACH=1 measure "$NGINX_PID" "$NGINX" >/dev/null
printf 'round  ours us/req  rps     nginx us/req  rps     ratio\n'
for round in $(seq "$ROUNDS"); do
    # Whoever goes first changes each round.
    if [ $((round % 2)) = 1 ]; then
        ours=$(measure "$OURS_PID" "$OURS"); nginx=$(measure "$NGINX_PID" "$NGINX")
    else
        nginx=$(measure "$NGINX_PID" "$NGINX"); ours=$(measure "$OURS_PID" "$OURS")
    fi
    echo "$ours $nginx" | awk -v round="$round" '{printf "%-6s %-12s %-7s %-13s %-7s %.2f\n", round, $1, $2, $3, $4, $1 / $3}'
    echo "$ours $nginx" >>"$DIR/results"
done
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
ratio=$(awk '{print $1 / $3}' "$DIR/results" | median)
echo "median: ours $(cut -d' ' -f1 "$DIR/results" | median) us/request, nginx $(cut -d' ' -f3 "$DIR/results" | median) us/request"
awk -v ratio="$ratio" -v limit="$LIMIT" 'BEGIN {
    printf "ratio %.2f, target at most %.1f: %s\n", ratio, limit, (ratio <= limit) ? "met" : "missed" }'

echo
echo "weight changes ten times a second at 2,000 requests per second"
"$TARGET/shift" 10 2000
