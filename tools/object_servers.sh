#!/usr/bin/env bash
# Fetches the servers of objects that tests run stores against: versitygw speaks S3, Azurite speaks
# Azure Blob Storage. What is there already is left alone. Tests find them in .cache/ci/bin.
# Usage: tools/object_servers.sh [versitygw] [azurite]; without names, both.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly versitygw_version=v1.8.0
readonly azurite_version=3.35.0
readonly tools="$PWD/.cache/ci/bin"
mkdir -p "$tools"

fetch_versitygw() {
    [[ -x $tools/versitygw ]] \
        || GOBIN="$tools" go install "github.com/versity/versitygw/cmd/versitygw@$versitygw_version"
}

fetch_azurite() {
    local home="$PWD/.cache/ci/azurite"
    if [[ ! -x $home/node_modules/.bin/azurite-blob ]]; then
        mkdir -p "$home"
        npm install --prefix "$home" --no-save --no-audit --no-fund --omit=dev \
            "azurite@$azurite_version"
    fi
    ln -sf "$home/node_modules/.bin/azurite-blob" "$tools/azurite-blob"
}

(($#)) || set -- versitygw azurite
for server; do "fetch_$server"; done
