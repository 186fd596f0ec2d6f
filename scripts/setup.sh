#!/usr/bin/env bash
# Installs the system packages that building needs (and, with `test`, that the tests need), or prints the one line to
# run where it may not. Usage: scripts/setup.sh [test]
set -euo pipefail

missing=()
need() { # package, command that succeeds if it is there
    if ! eval "$2" >/dev/null 2>&1; then missing+=("$1"); fi
}

need g++ "command -v g++"
need make "command -v make"
# bindgen looks for libclang in these places.
need libclang-dev "ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so*"
if [ "${1:-}" = test ]; then
    need iproute2 "command -v ip"
    need nftables "command -v nft || test -x /usr/sbin/nft"
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing: install it with rustup (https://rustup.rs), then run this again." >&2
    exit 1
fi
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
    run=()
elif sudo -n true 2>/dev/null; then
    run=(sudo -n)
else
    echo "Missing packages: ${missing[*]}. Run this once, then try again:" >&2
    echo "    sudo $line" >&2
    exit 1
fi
echo "installing: ${missing[*]}"
DEBIAN_FRONTEND=noninteractive "${run[@]}" $line || {
    # Package lists may be absent or old on a fresh machine.
    "${run[@]}" apt-get update -q
    DEBIAN_FRONTEND=noninteractive "${run[@]}" $line
}
