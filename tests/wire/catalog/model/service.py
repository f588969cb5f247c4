"""A real catalog with the regions of the model, and the calls that the machine makes."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from stoa.catalog.v1 import (
    gallery_service_pb2,
    image_definition_service_pb2,
    image_version_pb2,
    image_version_requests_pb2,
)
from stoa.replication.v1 import region_pb2
from stoa.type.v1 import replication_state_pb2

from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.clocks import ShiftedClock
from tests.wire.catalog.installation import Catalog, World
from tests.wire.catalog.model.places import PLACES
from tests.wire.catalog.model.progress import Event
from tests.wire.catalog.model.records import Version
from tests.wire.catalog.model.words import Storage
from tests.wire.catalog.replication import Replication

_FULL: Final = image_version_pb2.IMAGE_VERSION_VIEW_FULL
# How long the service may take to show what it was told, in seconds.
_PATIENCE: Final = 20.0


class Service:
    """One catalog over one database."""

    def __init__(self, authz: Installation, data: Path, url: str) -> None:
        self.clock = ShiftedClock()
        # What was asked of replication, by uid and generation, and how much of it was read.
        self._asked: dict[str, dict[int, Any]] = {}
        self._read = 0
        self.replication = Replication(authz.layout, self.clock)  # type: ignore[abstract] # as elsewhere
        for region, found in PLACES.items():
            self.replication.add_region(region, found.display_name)
            _equip(self.replication.regions[region], found.slots, found.zones)
        self.catalog = Catalog(authz, self.replication, data, url, clock=self.clock)
        self.stubs = self.catalog.user()
        self._policy = Policy(authz)
        self._world = World(self.catalog)

    def close(self) -> None:
        self.catalog.close()
        self.replication.close()

    def subscription(self) -> str:
        """A subscription that nothing is in yet."""
        made = self._policy.subscription()
        self.catalog.catch_up()
        return made

    def group(self, subscription: str) -> str:
        return self._world.group(parent=subscription)

    def blobs(self, group: str, location: str) -> list[str]:
        return [self._world.blob(group, location) for _ in range(2)]

    def get(self, name: str) -> Any:
        """Answer a gallery, a definition or a version by its name."""
        depth = name.count("/") + 1
        if depth == 6:
            return self.stubs.galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=name))
        if depth == 8:
            return self.stubs.definitions.GetImageDefinition(
                image_definition_service_pb2.GetImageDefinitionRequest(name=name)
            )
        return self.stubs.versions.GetImageVersion(
            image_version_requests_pb2.GetImageVersionRequest(name=name, view=_FULL)
        )

    def operation(self, name: str) -> Any:
        return self.stubs.operations.GetOperation(operations_pb2.GetOperationRequest(name=name))

    def wait(self, name: str) -> Any:
        """Answer an operation when it is done, or when patience ends."""
        return self.stubs.operations.WaitOperation(
            operations_pb2.WaitOperationRequest(
                name=name, timeout=Duration(seconds=int(_PATIENCE) - 5)
            )
        )

    def cancel(self, operation: str, version: str, *, expected: bool) -> list[str]:
        """Cancel an operation; answer the regions whose copies replication is told to stop."""
        earlier = sum(one.name == version for one in self.replication.cancelled)
        request = operations_pb2.CancelOperationRequest(name=operation)
        self.stubs.operations.CancelOperation(request)
        if not expected:
            return []
        return self.replication.await_cancelled(version, earlier + 1)[earlier]

    def lingers(self, name: str) -> list[str]:
        """Whether what must be gone is there still."""
        try:
            self.get(name)
        except grpc.RpcError:
            return []
        return ["it is still there"]

    def galleries(self, parent: str) -> Sequence[Any]:
        request = gallery_service_pb2.ListGalleriesRequest(parent=parent)
        found: Sequence[Any] = self.stubs.galleries.ListGalleries(request).galleries
        return found

    def definitions(self, parent: str) -> Sequence[Any]:
        request = image_definition_service_pb2.ListImageDefinitionsRequest(parent=parent)
        found: Sequence[Any] = self.stubs.definitions.ListImageDefinitions(
            request
        ).image_definitions
        return found

    def versions(self, parent: str, **more: Any) -> Iterator[Any]:
        """Every version of a list, page by page."""
        token = ""
        while True:
            page = self.page(parent, page_token=token, **more)
            yield from page.image_versions
            token = page.next_page_token
            if not token:
                return

    def page(self, parent: str, **more: Any) -> Any:
        return self.stubs.versions.ListImageVersions(
            image_version_requests_pb2.ListImageVersionsRequest(parent=parent, **more)
        )

    def ensured(self, uid: str, generation: int) -> Any:
        """What replication is asked for, once it is."""

        def found() -> Any:
            everything = self.replication.ensured
            for request in everything[self._read :]:
                desired = request.desired
                self._asked.setdefault(desired.image_version_uid, {})[desired.generation] = request
            self._read = len(everything)
            return self._asked.get(uid, {}).get(generation)

        with self.replication.arrived:
            assert self.replication.arrived.wait_for(found, _PATIENCE), (uid, generation)
            return found()

    def generations(self, version: Version) -> list[int]:
        """The generations that replication was asked for, the newest among them."""
        self.ensured(version.uid, version.generation)
        return sorted(self._asked[version.uid])

    def tell(self, event: Event, wanted: int) -> None:
        """Send what replication tells."""
        state = f"REGIONAL_REPLICATION_STATE_{event.state.name}"
        self.replication.tell(
            event.uid,
            event.location,
            replication_state_pb2.RegionalReplicationState.Value(state),
            generation=event.generation,
            usable=event.usable,
            good=event.good,
            wanted=wanted,
        )


def settled(look: Callable[[], list[str]]) -> list[str]:
    """Look until nothing differs any more, or patience ends; answer what differs."""
    end = time.monotonic() + _PATIENCE
    pause = 0.002
    while differences := look():
        if time.monotonic() > end:
            return differences
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
    return []


def _equip(region: region_pb2.Region, slots: dict[Storage, int], zones: tuple[str, ...]) -> None:
    """Give a region its zones, and slots by tier."""
    del region.capacities[:]
    zonal = slots.get(Storage.STANDARD_ZRS, 0)
    region.zones.extend(zones)
    region.capacities.add(
        tier=region_pb2.SLOT_TIER_STANDARD,
        replica_count=slots[Storage.STANDARD_LRS],
        zonal_replica_count=zonal,
        zone_count=min(zonal, len(zones)),
    )
    if Storage.PREMIUM_LRS in slots:
        region.capacities.add(
            tier=region_pb2.SLOT_TIER_PREMIUM, replica_count=slots[Storage.PREMIUM_LRS]
        )
