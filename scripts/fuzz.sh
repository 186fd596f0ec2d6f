#!/usr/bin/env bash
# Fuzzes everything that reads what strangers send: builds the targets of tests/fuzz with coverage and step counting, runs
# each over its corpus and then for so many seconds, and says how much was done and found.
#
# Usage: scripts/fuzz.sh [SECONDS]           each target for SECONDS (20)
#        scripts/fuzz.sh SECONDS TARGET…     these only
#        scripts/fuzz.sh build               builds them, and checks their form
#        scripts/fuzz.sh seeds               writes the seeds in tests/fuzz/corpus anew
#
# Runs of a minute and more begin with what earlier ones found, below the target folder, and leave there what reaches new
# code. Inputs that show a bug are printed with the command that shows it again. Built with the pinned compiler: the
# instrumentation is LLVM's own, and libFuzzer comes with the crate libfuzzer-sys.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-20}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(decode engine config)
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$folder"

# Edges are counted twice: for libFuzzer, inline; and as steps (tests/fuzz/src/budget.rs), by a call. libFuzzer has a
# function of that call's name as well, which is not to be linked.
flags=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=3
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cllvm-args=-sanitizer-coverage-trace-pc
    -Clink-arg=-Wl,--allow-multiple-definition
)
# With --target the flags are not for build scripts and macros.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
CARGO_TARGET_DIR=$folder cargo build --release --locked --quiet --manifest-path tests/fuzz/Cargo.toml --target "$host" --bins
programs=$folder/$host/release

case $what in
build) exit ;;
seeds)
    LEASEHOLD_FUZZ_SEEDS=tests/fuzz/corpus "$programs/decode" 2>/dev/null
    du -sh --apparent-size tests/fuzz/corpus
    exit
    ;;
esac

failed=0
for target in "${targets[@]}"; do
    known=tests/fuzz/corpus/$target
    found=$folder/found/$target
    [ "$what" -ge 60 ] || found=$folder/short/$target
    bugs=$folder/bugs/$target/$(date +%Y%m%d-%H%M%S)
    log=$folder/$target.log
    mkdir -p "$found" "$bugs"
    rm -rf "${folder:?}/short/$target"/*
    rc=0
    # Longer inputs add nothing but repetition: scripts have parts that stand for a whole datagram of 65,535 octets.
    # What a call costs is judged by steps; the time is for what never ends, however little of the processor it gets.
    "$programs/$target" -max_total_time="$what" -timeout=120 -rss_limit_mb=1024 -max_len=16384 -len_control=20 \
        -print_final_stats=1 -verbosity=1 -artifact_prefix="$bugs/" "$found" "$known" >"$log" 2>&1 || rc=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | grep -oE '[0-9]+' || true)
    bugs_found=$(find "$bugs" -type f | wc -l)
    printf '%-8s %9s executions, %4s s, %s edges, %s inputs, %d findings\n' \
        "$target" "${runs:-?}" "$what" "${edges:-?}" "$(find "$found" "$known" -type f | wc -l)" "$bugs_found"
    if [ "$rc" -ne 0 ] || [ "$bugs_found" -gt 0 ]; then
        failed=1
        tail -n 40 "$log"
        find "$bugs" -type f -printf "again: $programs/$target %p\n"
    fi
    rmdir --ignore-fail-on-non-empty "$bugs"
done
exit $failed
