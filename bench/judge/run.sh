#!/bin/sh
# Prints how the sequential judge and its peers fare over simulated rollouts. Seeded: the same table everywhere.
set -eu
cd "$(dirname "$0")/../.."
exec cargo run --quiet --release -p lem-engine-judge --example simulate
