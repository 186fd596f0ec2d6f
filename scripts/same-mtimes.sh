#!/usr/bin/env bash
# Lets clones use one target folder in turn. Cargo compiles again what is newer than what was made of it, and in a fresh
# clone everything is new. So the target folder keeps the digest and the time of change of every source as of the last
# build: what has the same content gets the same time again, what has not is made new. Only the last build counts, so
# going back to an older content makes a file new as well.
#
# Usage: scripts/same-mtimes.sh begin         before cargo runs
#        scripts/same-mtimes.sh end           when it has run, well or not
#        scripts/same-mtimes.sh run COMMAND…  both around a command, one at a time for a target folder
#
# What is kept is trusted only if every build since was announced so: after any other, and after one that never came to
# its end, all sources are made new. Does nothing where CARGO_TARGET_DIR is not set: that folder belongs to one clone.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${CARGO_TARGET_DIR:-}" ] || { [ "${1:-}" != run ] || exec "${@:2}"; exit 0; }
folder=$CARGO_TARGET_DIR/sources
manifest=$folder/manifest
# Its time is the end of the last announced build; it is gone while one runs.
ended=$folder/ended
mkdir -p "$folder"

times() { # paths: a line of time and path each
    [ $# -eq 0 ] || stat -c $'%.9Y\t%n' -- "$@"
}

# A folder counts as its list of names: build scripts watch folders, and a file that is gone has no time.
digests() { # a line of digest and path each, of everything that is or could be a source
    local file
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
        [ ! -f "$file" ] || printf '%s\0' "$file"
    done | xargs -0 sha256sum -- | sed 's/^\([^ ]*\)  /\1\t/'
    git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
        [ -f "$file" ] || continue
        while [[ $file == */* ]]; do
            printf '%s\t%s\n' "${file%/*}" "${file##*/}"
            file=${file%/*}
        done
    done | sort -u | awk -F '\t' '{ names[$1] = names[$1] "/" $2 } END { for (path in names) print names[path] "\t" path }'
}

# Whether something of the workspace was compiled since the last announced build ended.
unannounced() {
    [ -e "$ended" ] && [ -e "$manifest" ] || return 0
    [ -n "$(find "$CARGO_TARGET_DIR"/{,fuzz/*/}*/{.fingerprint,build} -regex '.*/leasehold[^/]*/invoked\.timestamp' \
        -newer "$ended" -print -quit 2>/dev/null)" ]
}

# Clippy's artifacts name the file of its settings by its full path: with CLIPPY_CONF_DIR it is one that stays.
settings() {
    cmp -s clippy.toml "$folder/clippy.toml" || cp clippy.toml "$folder/clippy.toml"
}

begin() {
    local -A known_digest=() known_time=() digest=()
    local changed=() path hash time now
    if unannounced; then
        echo "sources: no record of what was compiled last, all count as new"
    else
        while IFS=$'\t' read -r hash time path; do
            known_digest[$path]=$hash
            known_time[$path]=$time
        done <"$manifest"
    fi
    rm -f "$ended"
    while IFS=$'\t' read -r hash path; do digest[$path]=$hash; done < <(digests)
    while IFS=$'\t' read -r now path; do
        if [ "${known_digest[$path]:-}" != "${digest[$path]}" ]; then
            changed+=("$path")
        elif [ "${known_time[$path]}" != "$now" ]; then
            touch -m -d "@${known_time[$path]}" -- "$path"
        fi
    done < <(times "${!digest[@]}")
    # The kernel's own idea of now, as of the files that cargo will compare with.
    [ "${#changed[@]}" -eq 0 ] || touch -m -- "${changed[@]}"
    times "${!digest[@]}" | while IFS=$'\t' read -r time path; do
        printf '%s\t%s\t%s\n' "${digest[$path]}" "$time" "$path"
    done >"$manifest.new"
    mv "$manifest.new" "$manifest"
    echo "sources: ${#changed[@]} of ${#digest[@]} new since the last build"
}

# What was edited during the build may have been compiled as it was or as it is: it is forgotten.
end() {
    local -A now=()
    local hash time path paths=()
    [ -e "$manifest" ] || return 0
    while IFS=$'\t' read -r _ _ path; do [ ! -e "$path" ] || paths+=("$path"); done <"$manifest"
    while IFS=$'\t' read -r time path; do now[$path]=$time; done < <(times "${paths[@]}")
    while IFS=$'\t' read -r hash time path; do
        [ "${now[$path]:-}" != "$time" ] || printf '%s\t%s\t%s\n' "$hash" "$time" "$path"
    done <"$manifest" >"$manifest.new"
    mv "$manifest.new" "$manifest"
    touch "$ended"
}

# Without git nothing is known, and nothing is recorded, so that the next clone with git starts anew.
if ! git rev-parse --git-dir >/dev/null 2>&1; then
    rm -f "$manifest" "$ended"
    [ "${1:-}" != run ] || exec "${@:2}"
    exit 0
fi
case "${1:-}" in
begin) settings; begin ;;
end) end ;;
run)
    shift
    exec 9>"$folder/lock"
    flock -n 9 || { echo "waiting for another run with $CARGO_TARGET_DIR"; flock 9; }
    settings
    export CLIPPY_CONF_DIR=$folder
    begin
    trap end EXIT
    trap 'exit 130' INT TERM HUP
    "$@" 9>&-
    ;;
*) echo "usage: $0 begin|end|run COMMAND…" >&2; exit 2 ;;
esac
