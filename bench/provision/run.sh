#!/usr/bin/env bash
# Plan and durable apply of terraform_data resources, beside an installed terraform in the same run.
#   bench/provision/run.sh [RESOURCES] [PEER_RESOURCES]
# Terraform's apply grows with the square of the number of resources (5,000 take some 20 minutes), so its apply runs
# with PEER_RESOURCES, and ours runs once more with that number for the ratio. Its plan runs with RESOURCES.
set -euo pipefail
cd "$(dirname "$0")/../.."
resources=${1:-5000} peer=${2:-1000}
target=${CARGO_TARGET_DIR:-target}
cargo build --release -q -p lem-provision --example thousands
work=$(mktemp -d "${TMPDIR:-/tmp}/lem-bench-provision.XXXXXX")
trap 'rm -rf "$work"' EXIT
make() {
    mkdir -p "$1"
    for ((i = 0; i < $2; i++)); do printf 'resource "terraform_data" "r%d" {\n  input = "%d"\n}\n' "$i" "$i"; done >"$1/main.tf"
}
field() { python3 -c "import json,sys; print(json.load(sys.stdin)['$1'])"; }
seconds() {
    local begun ended
    begun=$(date +%s.%N)
    "$@" >/dev/null
    ended=$(date +%s.%N)
    python3 -c "print('%.3f' % ($ended - $begun))"
}
make "$work/ours" "$resources"
ours=$("$target/release/examples/thousands" "$work/ours")
echo "ours, $resources:        $ours"
if ! command -v terraform >/dev/null; then
    echo "terraform is not installed: no peer"
    exit 0
fi
export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
make "$work/peer-plan" "$resources"
terraform -chdir="$work/peer-plan" init >/dev/null
peer_plan=$(seconds terraform -chdir="$work/peer-plan" plan)
make "$work/peer-apply" "$peer"
terraform -chdir="$work/peer-apply" init >/dev/null
peer_apply=$(seconds terraform -chdir="$work/peer-apply" apply -auto-approve)
make "$work/ours-peer" "$peer"
same=$("$target/release/examples/thousands" "$work/ours-peer")
echo "ours, $peer:        $same"
echo "terraform: plan of $resources: $peer_plan s; apply of $peer (plan included): $peer_apply s"
python3 -c "print('plan ratio terraform/ours: %.1f; apply ratio terraform/ours at $peer: %.1f' % ($peer_plan / $(field plan_s <<<"$ours"), $peer_apply / $(field apply_s <<<"$same")))"
