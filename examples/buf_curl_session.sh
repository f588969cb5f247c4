#!/usr/bin/env bash
# The same session with `buf curl`, which prints errors as JSON.
#
#     examples/buf_curl_session.sh subscriptions/default/resourceGroups/images/galleries/golden/images/linux-base/versions/1.0.0
set -euo pipefail

version=${1:?the name of an image version}
catalog=http://${STOA_CATALOG_ENDPOINT:-127.0.0.1:7401}
replication=http://${STOA_REPLICATION_ENDPOINT:-127.0.0.1:7402}
token=${STOA_TOKEN:-$(stoa token)}
watched=$(mktemp)
trap 'rm -f "$watched"' EXIT

call() {
    buf curl --protocol grpc --http2-prior-knowledge --header "authorization: Bearer $token" "$@"
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

echo "# A version that does not exist: the details say why, in words and for programs"
call --data "{\"name\": \"$version.9\"}" \
    "$catalog/stoa.catalog.v1.ImageVersionService/GetImageVersion" 2>&1 || echo "exit code $?"
