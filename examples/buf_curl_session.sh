#!/usr/bin/env bash
# The same session with `buf curl`, which prints errors as JSON.
#
#     examples/buf_curl_session.sh subscriptions/default/resourceGroups/images/galleries/golden/images/linux-base/versions/1.0.0
set -euo pipefail

version=${1:?the name of an image version}
catalog=http://${STOA_CATALOG_ENDPOINT:-127.0.0.1:7401}
replication=http://${STOA_REPLICATION_ENDPOINT:-127.0.0.1:7402}
token=${STOA_TOKEN:-$(stoa token)}
protos=$(dirname "$0")/../third_party/protos
watched=$(mktemp)
error=$(mktemp)
trap 'rm -f "$watched" "$error"' EXIT

call() {
    buf curl --protocol grpc --http2-prior-knowledge --header "authorization: Bearer $token" "$@"
}

# buf prints the details of an error as they came, in base64; this reads them.
details() {
    local type value
    while read -r type && read -r value; do
        echo "$type $(base64 --decode <<<"$value" \
            | buf convert "$protos" --type "$type" --from "-#format=binpb")"
    done < <(sed -nE 's/^ *"(type|value)": "([^"]*)".*/\2/p' "$1")
}

echo "# The services of the catalog"
call --list-services "$catalog"

echo "# The methods of all of them"
call --list-methods "$catalog"

echo "# The version"
call --data "{\"name\": \"$version\", \"view\": \"IMAGE_VERSION_VIEW_REPLICATION_STATUS\"}" \
    "$catalog/stoa.catalog.v1.ImageVersionService/GetImageVersion"

echo "# Its replication as it is now, and what comes until it ends"
call --data "{\"name\": \"$version\"}" \
    "$replication/stoa.replication.v1.ReplicationService/WatchReplication" | tee "$watched"

echo "# The same replication from its first event on"
name=$(sed -n 's/^  "replication": "\(.*\)",$/\1/p' "$watched" | head -n 1)
call --data "{\"name\": \"$name\", \"afterSequence\": 0}" \
    "$replication/stoa.replication.v1.ReplicationService/WatchReplication"

echo "# A version that nobody published: the details say why, in words and for programs"
call --data "{\"name\": \"${version%/*}/9.9.9\"}" \
    "$catalog/stoa.catalog.v1.ImageVersionService/GetImageVersion" 2>"$error" || echo "exit code $?"
cat "$error"
details "$error"

echo "# A request that is wrong in several ways: each field is named at once"
call --data "{\"parent\": \"${version%/versions/*}\", \"imageVersionId\": \"1.2.3.4\",
    \"imageVersion\": {\"location\": \"atlantis\", \"replicaCount\": 0}}" \
    "$catalog/stoa.catalog.v1.ImageVersionService/CreateImageVersion" 2>"$error" || echo "exit code $?"
cat "$error"
details "$error"
