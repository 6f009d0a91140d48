# shellcheck shell=bash
# lib.sh: what the scripts share; each begins with `. "$(dirname -- "$0")/lib.sh"`. It moves to the project's root.
# Progress goes to standard error, so that standard output has only the results. Commands are quiet unless they fail.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
root=$PWD
logs=$root/build/logs
mkdir -p "$logs"

say() { printf '%s\n' "-- $*" >&2; }
die() { printf '%s\n' "${0##*/}: $*" >&2; exit 1; }
usage_error() { printf '%s\n' "${0##*/}: $* (see --help)" >&2; exit 2; }

# The comment at the beginning of a script is its help.
show_help() { sed -n '2,/^[^#]/{ /^#/!q; s/^# \{0,1\}//p; }' "$0"; }

on_windows() { case $(uname -s) in MINGW* | MSYS* | CYGWIN*) true ;; *) false ;; esac }

# quietly LOG COMMAND...: the output goes to build/logs/LOG, and is shown if the command fails. No input: nothing that
# runs in the background of a script may ask.
quietly() {
    local log=$logs/$1 status=0
    shift
    "$@" </dev/null >"$log" 2>&1 || status=$?
    [ $status -eq 0 ] && return
    cat "$log" >&2
    printf '%s\n' "${0##*/}: failed ($status): $*" >&2
    return $status
}

# build PRESET [TARGET]: configures if that was not done yet, and builds. Ninja runs CMake again when it has to.
build() {
    local preset=$1 target=${2:-all}
    if [ ! -e "build/$preset/build.ninja" ]; then
        say "configuring $preset"
        quietly "configure-$preset" cmake --preset "$preset" || return
    fi
    say "building $preset"
    quietly "build-$preset" cmake --build --preset "$preset" --target "$target" -- --quiet
}
