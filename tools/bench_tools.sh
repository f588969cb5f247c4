#!/usr/bin/env bash
# Fetches what the benchmarks measure beside, and mmdebstrap, which builds images. rclone, rsync and
# mmdebstrap are the distribution's packages, unpacked and not installed, desync is built by Go. What
# the machine or .cache/bench has is left alone, and what cannot be had is said and left out: the
# benchmarks do without.
# Usage: tools/bench_tools.sh [rclone] [rsync] [mmdebstrap] [desync]; without names, all.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly desync_version=v0.9.2
readonly cache="$PWD/.cache/bench"
readonly tools="$cache/bin" root="$cache/root"
mkdir -p "$tools" "$root"

# The package and what it needs that is not installed here, in a folder of their own: nothing of the
# machine is changed, and no rights on it are needed.
fetch_package() {
    local names work
    names=$(apt-get install --simulate --no-install-recommends "$1" | awk '$1 == "Inst" {print $2}')
    work=$(mktemp -d "$cache/packages.XXXXXX")
    # shellcheck disable=SC2086 # the names of packages have no spaces
    (cd "$work" && apt-get download --quiet $names)
    for package in "$work"/*.deb; do dpkg-deb --extract "$package" "$root"; done
    rm -r "$work"
    local libraries
    libraries=$(find "$root" -name '*.so*' -printf '%h\n' | sort --unique | paste --serial --delimiters=:)
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" "$root/usr/bin/$1" \
        >"$tools/$1"
    chmod +x "$tools/$1"
}

fetch_rclone() { fetch_package rclone; }
fetch_rsync() { fetch_package rsync; }
fetch_mmdebstrap() { fetch_package mmdebstrap; }
# Built in a module of its own, whose go.sum is filled from the checksum database: `go install` with a
# version also asks for the list of all versions, which not every module proxy gives.
fetch_desync() {
    local work
    work=$(mktemp -d "$cache/desync.XXXXXX")
    (
        cd "$work"
        go mod init bench
        go mod edit -require "github.com/folbricht/desync@$desync_version"
        go build -mod=mod -o "$tools/desync" github.com/folbricht/desync/cmd/desync
    )
    rm -r "$work"
}

(($#)) || set -- rclone rsync mmdebstrap desync
for tool; do
    [[ -x $tools/$tool ]] || command -v "$tool" >/dev/null && continue
    # In a shell of its own, where `set -e` holds: a failure here must not end the others.
    if ! bash -c "$(declare -p cache tools root desync_version)
        $(declare -f fetch_package "fetch_$tool"); set -euo pipefail; fetch_$tool" \
        >"$cache/$tool.log" 2>&1; then
        echo "$tool is not here and was not fetched: $(tail -n 1 "$cache/$tool.log")" >&2
        rm -f "$tools/$tool"
    fi
done
