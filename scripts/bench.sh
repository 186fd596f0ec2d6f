#!/usr/bin/env bash
# A whole cluster under load: one frontend, a three-node store behind it, all on this machine. Prints rate, latency and
# CPU time an exchange by process, medians over RUNS (default 5) runs of the same clients. Then 100,000 clients that
# come back at once, AVALANCHES (default 3) times with the priorities of an overload and as often without.
# Usage: scripts/bench.sh [RUNS] [SECONDS] [AVALANCHES]
# With `latency`: Replies with the store stopped and with a slow way to it, against the undisturbed case, in windows that
# alternate in one run. Needs root, for network namespaces.
# Usage: scripts/bench.sh latency [ROUNDS] [WINDOW_SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = latency ]; then
    cargo build --release --locked --workspace --bins
    LATENCY_ROUNDS="${2:-3}" LATENCY_WINDOW_SECS="${3:-10}" \
        exec cargo test --release --locked --workspace --test latency -- --nocapture
fi
leasehold="${CARGO_TARGET_DIR:-target}/release/leasehold"
"$leasehold" bench --runs "${1:-5}" --duration "${2:-5}s"
exec "$leasehold" bench avalanche --runs "${3:-3}"
