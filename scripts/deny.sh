#!/usr/bin/env bash
# Licences, bans and sources by cargo-deny, which is installed beside the build when it is not on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
if ! cargo deny --version >/dev/null 2>&1; then
    tools="${CARGO_TARGET_DIR:-target}/tools"
    if [ ! -x "$tools/bin/cargo-deny" ]; then
        echo "installing cargo-deny $version (once)"
        CARGO_TARGET_DIR="$tools/build" cargo install cargo-deny --version "$version" --locked --root "$tools" --quiet
        rm -rf "$tools/build"
    fi
    PATH="$tools/bin:$PATH"
fi
cargo deny --locked --log-level warn check --hide-inclusion-graph bans licenses sources
