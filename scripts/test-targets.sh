#!/usr/bin/env bash
# Prints the cargo arguments that name the integration tests of one kind, from the files that exist.
set -u
cd "$(dirname "$0")/.." || exit 2
case "${1:-}" in
simulation) names=(simulation) ;;
model) names=(model) ;;
failover) names=(failover) ;;
contract) names=(contract) ;;
service) names=(service session handler) ;;
process) names=(process budget scale demo) ;;
interop) names=(interop) ;;
failures) names=(failures) ;;
*) echo "unknown kind: ${1:-}" >&2; exit 2 ;;
esac
for name in "${names[@]}"; do
    for crate in proto store frontend cluster tests; do
        if [ -e "$crate/tests/$name.rs" ] || [ -e "$crate/tests/$name/main.rs" ]; then printf -- '--test\n%s\n' "$name"; fi
    done
done
