#!/usr/bin/env bash
# The whole test run: checks, then every test of the workspace, then a summary by kind with what was skipped.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
logs="${CARGO_TARGET_DIR:-target}/test-logs"
mkdir -p "$logs"
started=$(date +%s)
status=0
# The failures of this run add their lines to it.
rm -f "$logs/failures.table"

step() { # title, command...
    local title=$1 began rc
    shift
    began=$(date +%s)
    "$@"
    rc=$?
    printf '== %s: %s, %d s\n' "$title" "$([ $rc -eq 0 ] && echo ok || echo FAILED)" $(($(date +%s) - began))
    [ $rc -eq 0 ] || status=1
    return $rc
}

run_tests() { # kind, cargo test arguments...
    local kind=$1
    shift
    cargo test --release --locked "$@" 2>&1 | tee "$logs/$kind.log"
}

step "source" scripts/check-source.sh
step "requirements" scripts/fo-table.sh check
step "format" cargo fmt --all --check
step "clippy" cargo clippy --release --locked --workspace --all-targets -- -D warnings
# The rules can be switched off only in a build of its own, never in the program: Cargo.toml of leasehold-tests says why.
sabotage=(--workspace --features leasehold-tests/sabotage --test sabotage)
step "clippy of sabotage" cargo clippy --release --locked "${sabotage[@]}" -- -D warnings
step "deny" scripts/deny.sh
# Everything is compiled before anything is run, so that the times below are of tests. The program itself is built apart:
# cargo's tests build it only for the package that it belongs to, and the process tests are in another.
compile() {
    cargo build --release --locked --workspace --bins &&
        cargo test --release --locked --workspace --lib --bins --tests --no-run &&
        cargo test --release --locked "${sabotage[@]}" --no-run
}
if step "build" compile; then
    step "unit" run_tests unit --workspace --lib --bins
    step "sabotage" run_tests sabotage "${sabotage[@]}" -- --nocapture --test-threads=1
    for kind in simulation model failover contract service process interop failures; do
        mapfile -t targets < <(scripts/test-targets.sh "$kind")
        [ "${#targets[@]}" -eq 0 ] || step "$kind" run_tests "$kind" --workspace "${targets[@]}" -- --nocapture --test-threads=1
    done
fi

echo
echo "summary"
for log in "$logs"/*.log; do
    [ "$log" -nt scripts/test.sh ] || [ "$(stat -c %Y "$log")" -ge "$started" ] || continue
    awk -v kind="$(basename "$log" .log)" '
        /^test result:/ { p += $4; f += $6; i += $8 }
        END { printf "  %-12s %4d passed, %d failed, %d ignored\n", kind, p, f, i }' "$log"
done
if [ -s "$logs/failures.table" ]; then
    echo
    echo "failure table (waits of generated clients, read off the wire)"
    sed 's/^/  /' "$logs/failures.table"
    echo
fi
skipped=$(cat "$logs"/*.log | grep -E '^skipped: ' | sort -u)
if [ -n "$skipped" ]; then
    echo "skipped (they need root and network namespaces):"
    printf '%s\n' "$skipped" | sed 's/^/  /'
    if [ "${CI:-}" = true ]; then
        echo "in CI nothing may be skipped" >&2
        status=1
    fi
fi
awk '/^test result:/ { p += $4; f += $6 } END { printf "%d passed, %d failed\n", p, f }' "$logs"/*.log
echo "took $(($(date +%s) - started)) s"
exit $status
