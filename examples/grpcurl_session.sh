#!/usr/bin/env bash
# A session with grpcurl: what the services offer, a version, and how it was replicated.
# Reflection tells grpcurl the schema, so no proto file is needed.
#
#     stoa demo --keep                      # or publish a version of your own
#     examples/grpcurl_session.sh subscriptions/default/resourceGroups/images/galleries/golden/images/linux-base/versions/1.0.0
set -euo pipefail

version=${1:?the name of an image version}
catalog=${STOA_CATALOG_ENDPOINT:-127.0.0.1:7401}
replication=${STOA_REPLICATION_ENDPOINT:-127.0.0.1:7402}
token=${STOA_TOKEN:-$(stoa token)}
watched=$(mktemp)
trap 'rm -f "$watched"' EXIT

call() {
    grpcurl -plaintext -H "authorization: Bearer $token" "$@"
}

echo "# The services of the catalog"
call "$catalog" list

echo "# One of them, with the comments of the contract left out"
call "$catalog" describe stoa.catalog.v1.ImageVersionService

echo "# The version"
call -d "{\"name\": \"$version\", \"view\": \"IMAGE_VERSION_VIEW_REPLICATION_STATUS\"}" \
    "$catalog" stoa.catalog.v1.ImageVersionService/GetImageVersion

echo "# Its replication as it is now, and what comes until it ends"
call -d "{\"name\": \"$version\"}" \
    "$replication" stoa.replication.v1.ReplicationService/WatchReplication | tee "$watched"

echo "# The same replication from its first event on"
name=$(sed -n 's/^  "replication": "\(.*\)",$/\1/p' "$watched" | head -n 1)
call -d "{\"name\": \"$name\", \"afterSequence\": 0}" \
    "$replication" stoa.replication.v1.ReplicationService/WatchReplication

echo "# A version that nobody published: the details say why, in words and for programs"
call -d "{\"name\": \"${version%/*}/9.9.9\"}" \
    "$catalog" stoa.catalog.v1.ImageVersionService/GetImageVersion 2>&1 || echo "exit code $?"

echo "# A request that is wrong in several ways: each field is named at once"
call -d "{\"parent\": \"${version%/versions/*}\", \"imageVersionId\": \"1.2.3.4\",
    \"imageVersion\": {\"location\": \"atlantis\", \"replicaCount\": 0}}" \
    "$catalog" stoa.catalog.v1.ImageVersionService/CreateImageVersion 2>&1 || echo "exit code $?"
