"""Which class serves which proto service: the one list, extended by whoever adds a service."""

from collections.abc import Callable, Mapping
from typing import Final

from services.replication.servicers.blobs import BlobServicer
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.disks import DiskServicer
from services.replication.servicers.feed import ReplicationFeedServicer
from services.replication.servicers.operations import operations
from services.replication.servicers.regions import RegionServicer
from services.replication.servicers.replications import ReplicationServicer

FACTORIES: Final[Mapping[str, Callable[[Dependencies], object]]] = {
    "stoa.replication.v1.RegionService": RegionServicer,
    "stoa.replication.v1.BlobService": BlobServicer,
    "stoa.replication.v1.ImageDiskService": DiskServicer,
    "stoa.replication.v1.ReplicationService": ReplicationServicer,
    "stoa.replication.v1.ReplicationFeedService": ReplicationFeedServicer,
    "google.longrunning.Operations": operations,
}
