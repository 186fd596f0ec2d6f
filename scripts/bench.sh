#!/usr/bin/env bash
# A whole cluster under load: one frontend, a three-node store behind it, all on this machine. Prints rate, latency and
# CPU time an exchange by process, medians over RUNS (default 5) runs of the same clients.
# Usage: scripts/bench.sh [RUNS] [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${CARGO_TARGET_DIR:-target}/release/leasehold" bench --runs "${1:-5}" --duration "${2:-5}s"
