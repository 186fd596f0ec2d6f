#!/usr/bin/env bash
# Checks what neither rustc nor clippy does: that the pure cores stay pure, that files keep to one subject, and that
# nothing unfinished is left behind. Prints every finding; exits non-zero if there is any.
set -u
cd "$(dirname "$0")/.." || exit 2
failed=0
complain() { printf '%s\n' "$@" >&2; failed=1; }

# The pure cores: time, randomness and packets are arguments, order never comes from a hash table.
cores=(store/src/machine store/src/hub frontend/src/engine frontend/src/codec proto/src/words proto/src/lifetimes.rs
    proto/src/time.rs proto/src/pool.rs proto/src/lease.rs proto/src/network proto/src/options)
impure='std::time::(Instant|SystemTime)|\b(Instant|SystemTime)::now|std::(fs|io|thread|process|env)\b|std::sync::(Mutex|RwLock|mpsc|atomic)|\b(Udp|Tcp)(Socket|Stream|Listener)\b|\b(tokio|tonic|rocksdb|openraft|getrandom|rand|tracing|socket2|nix|libc)::|\bHash(Map|Set)\b.*std::collections|std::collections::Hash(Map|Set)|println!|eprintln!'
for core in "${cores[@]}"; do
    [ -e "$core" ] || { complain "$core is gone: mend scripts/check-source.sh"; continue; }
    found=$(grep -rnE "$impure" "$core" --include='*.rs' | grep -vE '/tests?(/|\.rs)|^[^:]*:[0-9]+:\s*//')
    [ -z "$found" ] || complain "not pure:" "$found"
done

# store and frontend never import each other, and the cores import no shell.
found=$(grep -rnE 'leasehold_store' frontend/src; grep -rnE 'leasehold_frontend' store/src)
[ -z "$found" ] || complain "arrows run one way (ARCHITECTURE.md):" "$found"
found=$(grep -rnE 'crate::(io|session|process)\b' frontend/src/engine frontend/src/codec --include='*.rs' | grep -v '^\S*:\s*//'
    grep -rnE 'crate::(raft|rocks|service)\b' store/src/machine store/src/hub --include='*.rs' | grep -v '^\S*:\s*//')
[ -z "$found" ] || complain "a core knows its shell:" "$found"

found=$(git ls-files '*.rs' | xargs wc -l | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines"}')
[ -z "$found" ] || complain "over 600 lines, split by subject:" "$found"

found=$(git ls-files '*.rs' '*.toml' '*.sh' Makefile | grep -v '^scripts/check-source.sh$' |
    xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b|\btodo!\(|\bunimplemented!\(|#\[ignore')
[ -z "$found" ] || complain "unfinished:" "$found"

exit $failed
