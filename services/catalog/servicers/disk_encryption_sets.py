"""`DiskEncryptionSetService`."""

from typing import Any, Final

from stoa.catalog.v1 import disk_encryption_set_service_pb2 as pb

from services.catalog.convert import disk_encryption_sets as convert
from services.catalog.domain.disk_encryption_set import EncryptionType
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import Sources
from services.catalog.usecases import source_encryption_sets
from services.catalog.usecases.source_create import NewSource
from services.catalog.usecases.source_types import ENCRYPTION_SET
from services.kernel.rpc.call import Call

_AT_REST: Final = EncryptionType.AT_REST_WITH_CUSTOMER_KEY


class DiskEncryptionSetServicer:
    """Disk encryption sets."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._sources: Final = Sources(
            dependencies,
            ENCRYPTION_SET,
            dependencies.readers.encryption_sets,
            pb.ListDiskEncryptionSetsResponse,
            entries="disk_encryption_sets",
            fields={"encryption_type": frozenset(one.name for one in EncryptionType)},
        )

    def CreateDiskEncryptionSet(
        self, request: pb.CreateDiskEncryptionSetRequest, call: Call
    ) -> bytes:
        sent = request.disk_encryption_set
        command = source_encryption_sets.CreateEncryptionSet(
            NewSource(
                mutations.scope_of(call),
                request.disk_encryption_set_id,
                sent.location,
                dict(sent.tags),
            ),
            sent.key_uri,
            convert.ENCRYPTION_TYPES.member(sent.encryption_type) or _AT_REST,
        )
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: source_encryption_sets.create(
                command, context, mutation, world=self._sources.world
            ),
        )

    def GetDiskEncryptionSet(self, request: pb.GetDiskEncryptionSetRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListDiskEncryptionSets(self, request: pb.ListDiskEncryptionSetsRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteDiskEncryptionSet(
        self, request: pb.DeleteDiskEncryptionSetRequest, call: Call
    ) -> bytes:
        return self._sources.delete(request, call)
