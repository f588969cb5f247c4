"""Versions on their way into a slow region, in an installation whose copies can be killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.longrunning import operations_pb2
from google.protobuf import field_mask_pb2
from stoa.catalog.v1 import image_version_pb2
from stoa.catalog.v1.provisioning_state_pb2 import PROVISIONING_STATE_SUCCEEDED
from stoa.replication.v1 import (
    region_pb2,
    region_service_pb2,
    replication_pb2,
    replication_service_pb2,
)
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1.replication_state_pb2 import REGIONAL_REPLICATION_STATE_COMPLETED

from tests.system.disks import MIB, Disk, noise
from tests.system.installation import Client, Installation, installed
from tests.system.publishing import (
    HOME,
    OS,
    Place,
    begin,
    get_version,
    lun,
    make_image,
    make_regions,
    make_shop,
    read,
    store_of,
)
from tests.system.stores import StoreFiles

SLOW = "slowlane"
FAST = "fastlane"
REGIONS = {HOME: 1, FAST: 1, SLOW: 1}
# What becomes durable together, and so what one copy may do again after a crash.
WINDOW = 4 * MIB
# How long a copy stays with a process that was killed: short, so that tests are.
LEASE_SECONDS = "3"
# Slow enough that a copy is found in its middle on any machine.
BYTES_PER_SECOND = 4 * MIB


@contextmanager
def fragile_installation(folder: Path) -> Iterator[Installation]:
    """An installation with small windows, short leases and a slow region."""
    settings = {
        "STOA_REPLICATION_COPY_WINDOW_BYTES": str(WINDOW),
        "STOA_REPLICATION_LEASE_SECONDS": LEASE_SECONDS,
        "STOA_CATALOG_LEASE_SECONDS": LEASE_SECONDS,
    }
    with installed(folder, **settings) as installation:
        limits = region_pb2.RegionLimits(bandwidth_bytes_per_second=BYTES_PER_SECOND)
        places = [Place(HOME, "East US"), Place(FAST, "Fast Lane"), Place(SLOW, "Slow Lane")]
        make_regions(installation, places, slowlane=limits)
        yield installation


@dataclass
class Copying:
    """A version on its way into the regions."""

    installation: Installation
    owner: Client
    disks: dict[str, Disk]
    operation: operations_pb2.Operation
    name: str
    uid: str

    def store(self, region: str) -> StoreFiles:
        return StoreFiles(store_of(self.installation, region))

    def replication(self) -> replication_pb2.Replication:
        return self.owner.of(ReplicationServiceStub).GetReplication(
            replication_service_pb2.GetReplicationRequest(name=self.name)
        )

    def region(self, location: str) -> replication_pb2.RegionReplication:
        (found,) = [one for one in self.replication().regions if one.location == location]
        return found

    def readable(self, region: str) -> set[str]:
        """The disks that can be read in a region, each compared with its source."""
        found = set()
        for name, disk in self.disks.items():
            selector = OS if name == "os" else lun(int(name))
            try:
                content = read(self.owner, self.name, selector, region)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
                continue
            assert content.digest == disk.digest
            found.add(name)
        return found

    def assert_whole_or_absent(self) -> None:
        """In each region there are all disks of the version, or none."""
        usable = {
            one.location: one.usable
            for one in get_version(self.owner, self.name).replication_status.summary
        }
        for region in REGIONS:
            ref = self.store(region).ref(self.uid)
            if ref is not None:
                assert set(ref["disks"]) == set(self.disks)
            readable = self.readable(region)
            if readable and "os" not in readable:
                # Committed between the first disk, which is asked for first, and the next.
                readable = self.readable(region)
            assert readable in (set(), set(self.disks))
            if usable.get(region):
                assert readable == set(self.disks)

    def assert_complete(self) -> None:
        version = self.owner.result(self.operation, image_version_pb2.ImageVersion)
        assert version.provisioning_state == PROVISIONING_STATE_SUCCEEDED
        assert version.uid == self.uid
        for region in REGIONS:
            assert self.readable(region) == set(self.disks)
            assert self.region(region).state == REGIONAL_REPLICATION_STATE_COMPLETED

    def hasten(self, region: str) -> None:
        """Take the limit from a region; what is claimed from now on is not slowed."""
        self.owner.of(RegionServiceStub).UpdateRegion(
            region_service_pb2.UpdateRegionRequest(
                region=region_pb2.Region(name=f"regions/{region}"),
                update_mask=field_mask_pb2.FieldMask(paths=["limits"]),
            )
        )

    def bytes_again(self, region: str) -> int:
        """How much was copied more than once: it raised the total."""
        total = self.region(region).progress.bytes.total_bytes
        return total - sum(disk.size for disk in self.disks.values())


def copying(installation: Installation, seed: int, *sizes: int) -> Copying:
    """Begin to publish a version of disks of so many MiB of noise."""
    owner = installation.client()
    shop = make_shop(owner)
    found = [noise(size, seed + number) for number, size in enumerate(sizes)]
    image = make_image(owner, shop.group, *found)
    operation, name = begin(shop, image, REGIONS)
    disks = {"os": found[0]} | {str(number): disk for number, disk in enumerate(found[1:])}
    return Copying(installation, owner, disks, operation, name, get_version(owner, name).uid)
