#!/usr/bin/env bash
# A whole cluster under load: one frontend, a three-node store behind it, all on this machine. Prints rate, latency and
# CPU time an exchange by process, medians over RUNS (default 5) runs of the same clients. Then 100,000 clients that
# come back at once, AVALANCHES (default 3) times with the priorities of an overload and as often without.
# Usage: scripts/bench.sh [RUNS] [SECONDS] [AVALANCHES]
set -euo pipefail
cd "$(dirname "$0")/.."
leasehold="${CARGO_TARGET_DIR:-target}/release/leasehold"
"$leasehold" bench --runs "${1:-5}" --duration "${2:-5}s"
exec "$leasehold" bench avalanche --runs "${3:-3}"
