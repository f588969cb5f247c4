"""Publishes an uploaded image to three regions and watches how it spreads.

Plain gRPC with the generated classes, as in any other language; nothing of the `stoa` command is
used but its token. Needs a running installation with the regions, a definition and a managed
image:

    stoa up -d
    PYTHONPATH=gen python examples/publish_and_watch.py \
        --definition subscriptions/default/resourceGroups/images/galleries/golden/images/linux \
        --image subscriptions/default/resourceGroups/images/managedImages/base \
        --version 1.0.1 --home eastus --regions eastus westus northeurope
"""

import argparse
import os
import subprocess
import uuid
from collections.abc import Iterator

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from stoa.catalog.v1 import image_version_pb2, storage_profile_pb2, target_region_pb2
from stoa.catalog.v1.image_version_requests_pb2 import CreateImageVersionRequest
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.replication.v1 import replication_watch_pb2
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1.replication_state_pb2 import RegionalReplicationState


def main() -> None:
    """Publish, watch, and wait for the operation."""
    wanted = arguments()
    token = os.environ.get("STOA_TOKEN") or spoken_by("stoa", "token")
    metadata = [("authorization", f"Bearer {token}")]
    catalog = grpc.insecure_channel(os.environ.get("STOA_CATALOG_ENDPOINT", "127.0.0.1:7401"))
    replication = grpc.insecure_channel(
        os.environ.get("STOA_REPLICATION_ENDPOINT", "127.0.0.1:7402")
    )

    operation = ImageVersionServiceStub(catalog).CreateImageVersion(
        create_request(wanted), metadata=metadata
    )
    print(f"operation {operation.name}")

    name = f"{wanted.definition}/versions/{wanted.version}"
    for event in watch(ReplicationServiceStub(replication), name, metadata):
        tell(event)

    operations = operations_pb2_grpc.OperationsStub(catalog)
    while not operation.done:
        operation = operations.WaitOperation(
            operations_pb2.WaitOperationRequest(name=operation.name, timeout=Duration(seconds=20)),
            metadata=metadata,
        )
    if operation.HasField("error"):
        raise SystemExit(f"failed: {operation.error.message}")
    version = image_version_pb2.ImageVersion()
    operation.response.Unpack(version)
    print(f"published {version.name}")


def create_request(wanted: argparse.Namespace) -> CreateImageVersionRequest:
    """What is wanted: one replica in each region, of all disks of the managed image.

    The request id makes the call safe to repeat: the same version comes back.
    """
    version = image_version_pb2.ImageVersion(
        location=wanted.home,
        storage_profile=storage_profile_pb2.StorageProfile(
            source=storage_profile_pb2.VersionSource(managed_image=wanted.image)
        ),
        target_regions=[
            target_region_pb2.TargetRegion(location=region, regional_replica_count=1)
            for region in wanted.regions
        ],
    )
    return CreateImageVersionRequest(
        parent=wanted.definition,
        image_version_id=wanted.version,
        image_version=version,
        request_id=str(uuid.uuid4()),
    )


def watch(
    stub: ReplicationServiceStub, name: str, metadata: list[tuple[str, str]]
) -> Iterator[replication_watch_pb2.WatchReplicationResponse]:
    """Follow the first replication of a version to its end, across broken connections."""
    request = replication_watch_pb2.WatchReplicationRequest(name=name, minimum_generation=1)
    while True:
        try:
            for event in stub.WatchReplication(request, metadata=metadata):
                yield event
                if event.replication:
                    # Where to go on if the connection breaks: nothing is missed or told twice.
                    request = replication_watch_pb2.WatchReplicationRequest(
                        name=event.replication, after_sequence=event.sequence
                    )
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return


def tell(event: replication_watch_pb2.WatchReplicationResponse) -> None:
    """Print what happened."""
    match event.WhichOneof("event"):
        case "transition" if event.transition.region_state:
            state = RegionalReplicationState.Name(event.transition.region_state)
            short = state.removeprefix("REGIONAL_REPLICATION_STATE_")
            print(f"{event.sequence:>4}  {event.transition.location:<12} {short}")
        case "progress":
            shown = event.progress.progress
            print(f"      {event.progress.location:<12} {shown.percent} %")
        case "end":
            print(f"{event.sequence:>4}  ended, {event.end.progress.bytes.copied_bytes} B copied")
        case _:
            pass  # A snapshot, a bookmark, or a transition of a single replica or disk.


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Publish a version and watch it spread.")
    parser.add_argument("--definition", required=True, help="name of the image definition")
    parser.add_argument("--image", required=True, help="name of the managed image")
    parser.add_argument("--version", required=True, help="number of the new version")
    parser.add_argument("--home", required=True, help="home region")
    parser.add_argument("--regions", required=True, nargs="+", help="target regions")
    return parser.parse_args()


def spoken_by(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
