#!/usr/bin/env bash
# The requirements by id (FO-…, SV-…, PD-…, OP-…, SEC-…) and the tests that show them, found by the tests' names.
# Prints a table and its counts; `check`: only what is missing, and fails if anything is; `results`: with how each went in
# the last run of scripts/test.sh with this CARGO_TARGET_DIR, and fails unless all passed. After the mode, areas may be
# named: `scripts/requirements.sh results SV PD`.
# A test shows a requirement when its function's name holds its id, as in `fo_211_of_two_clients…`; several ids may
# stand in one name.
set -euo pipefail
cd "$(dirname "$0")/.."

# Failover: as written, and those of RFC 8156's pairwise protocol that another mechanism serves here: the test shows that.
FO_kept=(101 102 103 104 105 106 107 108 109 110 111 113 115 201 202 203 204 205 206 208 209 210 211 212 213 214
    301 302 303 304 305 306 402 403 405 406 407 408 409 410 411 501 502 503 508 509 606 704 706 801 802 810
    901 902 903 904 905 906 907 908 909 910 911 912 913 914)
FO_replaced=(112 207 401 404 504 505 506 507 601 602 603 604 605 708 803 807 808 811)
# The server's behaviour towards clients and relays.
SV_kept=({101..115} {131..136} {151..157} {171..177} {201..215} {301..307} {311..315} {321..324} {331..336} {341..344}
    351 352 {361..363} 371 381 {401..407})
PD_kept=({01..15})
OP_kept=({01..06})
SEC_kept=({01..13})

mode=table
case "${1:-}" in check | results) mode=$1 && shift ;; esac
areas=("$@")
[ ${#areas[@]} -gt 0 ] || areas=(FO SV PD OP SEC)

names=$(grep -rhoE --include='*.rs' 'fn [a-z0-9_]*(fo|sv|pd|op|sec)_[0-9]{2,3}[a-z0-9_]*' proto store frontend cluster tests | sed 's/^fn //' | sort -u)
# What ran, and what failed: with several threads or output between, a test's word stands on a later line than its name.
logs=${CARGO_TARGET_DIR:-target}/test-logs
ran='' failed=''
if [ "$mode" = results ]; then
    ran=$(grep -hoE '^test [A-Za-z0-9_:]+' "$logs"/*.log | sed -E 's/^test //; s/.*:://' | sort -u)
    failed=$(awk '/^failures:$/ { on = 1 } /^test result:/ { on = 0 } on && /^    [a-z][A-Za-z0-9_:]*$/ { sub(/.*::/, ""); print $1 }' \
        "$logs"/*.log | sort -u)
fi
missing=0 not_passed=0
result() { # tests
    local name words=passed
    for name in $1; do
        if grep -qxF "$name" <<<"$failed"; then
            words="FAILED: $name"
        elif ! grep -qxF "$name" <<<"$ran"; then
            # Measured when asked for, by `scripts/bench.sh latency`.
            [ "$name" != fo_106_replies_with_the_store_stopped_and_slow ] || continue
            words="NOT RUN: $name"
        fi
    done
    printf ' %s |' "$words"
    [ "$words" = passed ]
}
row() { # area, number, disposition
    local tests
    tests=$(grep -E "(^|_)${1,,}_$2(_|\$)" <<<"$names" || true)
    if [ -z "$tests" ]; then
        missing=$((missing + 1))
        echo "$1-$2 ($3): no test names it" >&2
    fi
    [ "$mode" != check ] || return 0
    printf '| %s-%s | %s | %s |' "$1" "$2" "$3" "$(printf '%s' "$tests" | tr '\n' ' ' | sed 's/ *$//; s/ /<br>/g')"
    [ "$mode" != results ] || result "$tests" || not_passed=$((not_passed + 1))
    echo
}
case "$mode" in
results) printf '| id | disposition | tests | result |\n| --- | --- | --- | --- |\n' ;;
table) printf '| id | disposition | tests |\n| --- | --- | --- |\n' ;;
esac
counts=()
for area in "${areas[@]}"; do
    rows=0 before=$missing
    for disposition in kept replaced; do
        declare -n numbers=${area}_$disposition
        for number in ${numbers[@]+"${numbers[@]}"}; do
            row "$area" "$number" "$disposition"
            rows=$((rows + 1))
        done
        unset -n numbers
    done
    counts+=("$area: $rows requirements, $((missing - before)) without a test")
done
[ "$mode" = check ] || printf '\n'
[ "$mode" = check ] || printf '%s\n' "${counts[@]}"
if [ "$missing" -gt 0 ]; then
    echo "$missing requirements without a test" >&2
    [ "$mode" != check ] || exit 1
fi
if [ "$not_passed" -gt 0 ]; then
    echo "$not_passed requirements with a test that did not pass" >&2
    exit 1
fi
