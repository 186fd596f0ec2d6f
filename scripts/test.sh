#!/usr/bin/env bash
# The whole test run: checks, then every test of the workspace, then a summary by kind with what was skipped.
#
# Two lanes run side by side. One talks over real sockets: it mostly waits, and judges how long. The other compiles and
# computes on what the first leaves over (the kernel's idle class). Tests are started as the programs that they are and
# not through cargo, which would wait for the other lane's compiler.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
logs=$target/test-logs
mkdir -p "$logs" "$target/sources"
# Two clones that compile into one folder at a time would run each other's tests.
exec 9>"$target/sources/lock"
flock -n 9 || { echo "waiting for another run with $target"; flock 9; }
rm -rf "${logs:?}"/* "$logs"/.[a-z]*

# The tests of each kind, by their file's name, and those that run only when asked for.
declare -A tests=(
    [interop]=interop [clients]=clients [differential]=differential [process]="process budget scale demo trace" [service]=service
    [failures]=failures
    [sabotage]=sabotage [simulation]=simulation [model]=model [failover]=failover [contract]=contract
    [asked]="soak latency"
)
# With the service's tests, which take long to compile and do not need the program, the first lane would start later.
waiting=(interop clients differential process service failures)
early=(interop clients differential process failures)
computing=(sabotage simulation model failover contract)
# The rules can be switched off only in a build of its own, never in the program: Cargo.toml of leasehold-tests says why.
# All members are named though few are compiled, so that dependencies have the features that they have everywhere.
sabotage=(--workspace --no-default-features --features leasehold-tests/sabotage --test sabotage)

# Runs a command with what it prints in a file; when it ends, says how it went: the results or the end of the file, or all of
# it after a failure. The lanes' words do not mix.
step() { # title, file, command...
    local title=$1 file=$logs/$2 began=$SECONDS rc
    shift 2
    "$@" >"$file" 2>&1 </dev/null
    rc=$?
    {
        if [ $rc -ne 0 ]; then
            cat "$file"
        else
            { grep '^test result:' "$file" || tail -n 3 "$file"; } | sed 's/^ */    /'
        fi
        printf '== %s: %s, %d s\n' "$title" "$([ $rc -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - began))
    } | flock "$logs/.words" cat
    [ $rc -eq 0 ] || echo "$title" >>"$logs/.failed"
    return $rc
}

# Compiles, and keeps in `NAME.built` a line for each test that came of it: its kind for cargo (lib, bin, test), its name, the
# folder of its package and its program.
build() { # name, cargo build arguments...
    local name=$1 rc
    shift
    cargo build --release --locked "$@" --message-format=json-render-diagnostics >"$logs/$name.json"
    rc=$?
    sed -nE 's/.*"manifest_path":"([^"]*)\/Cargo.toml","target":\{"kind":\["([a-z]+)".*"name":"([^"]*)".*"profile":\{[^}]*"test":true\}.*"executable":"([^"]*)".*/\2\t\3\t\1\t\4/p' \
        "$logs/$name.json" >"$logs/$name.built"
    return $rc
}

# Runs the tests of these names out of what was built, all of them even after a failure.
run() { # what was built, cargo's kinds, names (all if none), -- arguments for the tests
    local built=$logs/$1.built kinds=$2 names=() rc=0 found kind name folder program
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do names+=("$1"); shift; done
    [ $# -eq 0 ] || shift
    for wanted in "${names[@]:-}"; do
        found=false
        while IFS=$'\t' read -r kind name folder program; do
            [[ " $kinds " == *" $kind "* ]] && { [ -z "$wanted" ] || [ "$name" = "$wanted" ]; } || continue
            found=true
            echo "running $name of $folder"
            (cd "$folder" && CARGO_MANIFEST_DIR=$folder exec "$program" "$@") </dev/null || rc=1
        done <"$built"
        $found || { echo "no test $wanted was built"; rc=1; }
    done
    return $rc
}

run_kind() { # kind, what was built
    # The tests with client programs wait for T1 and T2 most of the time, each in namespaces of its own.
    local threads=1
    [[ " interop clients " != *" $1 "* ]] || threads=4
    # shellcheck disable=SC2086 # the names are words
    step "$1" "$1.log" run "$2" test ${tests[$1]} -- --nocapture --test-threads=$threads
}

# A new file of tests belongs to a kind, or nobody would run it.
every_test_has_a_kind() {
    local known=" ${tests[*]} " unknown
    unknown=$(awk -F '\t' -v known="$known" '$1 == "test" && !index(known, " " $2 " ") { print $2 }' "$logs/all.built")
    [ -z "$unknown" ] || { echo "of no kind in scripts/test.sh: $unknown"; return 1; }
}

# The program, and the tests that are started first. Shown as it goes, since from nothing it takes most of an hour.
build_program() {
    local kind name names=()
    for kind in "${early[@]}"; do
        for name in ${tests[$kind]}; do names+=(--test "$name"); done
    done
    build early --workspace --bins "${names[@]}"
}

waiting_lane() {
    local kind
    for kind in "${waiting[@]}"; do
        if [[ " ${early[*]} " == *" $kind "* ]]; then
            run_kind "$kind" early
        else
            until [ -e "$logs/.all-built" ]; do sleep 1; done
            run_kind "$kind" all
        fi
    done
}

computing_lane() {
    chrt --idle --pid 0 "$BASHPID" 2>/dev/null || renice -n 19 -p "$BASHPID" >/dev/null
    local compiled=true kind
    step "build of all tests" all.out build all --workspace --lib --bins --tests || compiled=false
    : >"$logs/.all-built"
    step "build of sabotage" sabotage.out build sabotage "${sabotage[@]}" || compiled=false
    step "clippy" clippy.out cargo clippy --release --locked --workspace --all-targets -- -D warnings
    step "clippy of sabotage" clippy-sabotage.out cargo clippy --release --locked "${sabotage[@]}" -- -D warnings
    step "build of fuzz targets" fuzz-build.out scripts/fuzz.sh build
    scripts/same-mtimes.sh end && : >"$logs/.compiled"
    step "deny" deny.out scripts/deny.sh
    # On one processor, beside the tests that compute.
    step "fuzz" fuzz.out scripts/fuzz.sh 20 &
    if $compiled; then
        step "kinds of tests" kinds.out every_test_has_a_kind
        step "unit" unit.log run all "lib bin"
        for kind in "${computing[@]}"; do
            run_kind "$kind" "$([ "$kind" = sabotage ] && echo sabotage || echo all)"
        done
    fi
    wait
}

# Each lane is a process group, so that an end of this script is the end of all that it started.
lanes=()
finish() {
    local lane
    for lane in "${lanes[@]}"; do kill -TERM -- "-$lane" 2>/dev/null; done
    for lane in "${lanes[@]}"; do
        for _ in $(seq 50); do kill -0 -- "-$lane" 2>/dev/null && sleep 0.1; done
        kill -KILL -- "-$lane" 2>/dev/null
    done
    [ -e "$logs/.compiled" ] || scripts/same-mtimes.sh end
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

start() { # lane
    set -m
    "$1" 9>&- &
    set +m
    lanes+=($!)
}

scripts/same-mtimes.sh begin
[ ! -e "$target/sources/clippy.toml" ] || export CLIPPY_CONF_DIR=$target/sources
step "source" source.out scripts/check-source.sh
step "requirements" requirements.out scripts/requirements.sh check
step "format" format.out cargo fmt --all --check
began=$SECONDS
start build_program
if wait "${lanes[0]}"; then
    echo "== build of the program: ok, $((SECONDS - began)) s"
    lanes=()
    start waiting_lane
    start computing_lane
    for lane in "${lanes[@]}"; do wait "$lane"; done
else
    echo "build of the program" >>"$logs/.failed"
    echo "== build of the program: FAILED, $((SECONDS - began)) s"
fi
lanes=()

echo
echo "summary"
for log in "$logs"/*.log; do
    [ -e "$log" ] || continue
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
if [ -s "$logs/clients.table" ]; then
    echo "client programs and relays by case (waits from a message's first transmission, read off the wire)"
    sed 's/^/  /' "$logs/clients.table"
    echo
fi
skipped=$(cat "$logs"/*.log 2>/dev/null | grep -E '^skipped: ' | sort -u)
if [ -n "$skipped" ]; then
    echo "skipped (they need root and network namespaces):"
    printf '%s\n' "$skipped" | sed 's/^/  /'
    if [ "${CI:-}" = true ]; then echo "in CI nothing may be skipped" | tee -a "$logs/.failed" >&2; fi
fi
cat "$logs"/*.log 2>/dev/null | awk '/^test result:/ { p += $4; f += $6 } END { printf "%d passed, %d failed\n", p, f }'
if [ -s "$logs/.failed" ]; then printf 'failed: %s\n' "$(paste -sd , "$logs/.failed")"; fi
echo "took $SECONDS s"
[ ! -e "$logs/.failed" ]
