"""`StorageAccountService`."""

from typing import Any, Final

from stoa.catalog.v1 import storage_account_service_pb2 as pb

from services.catalog.convert import storage_accounts as convert
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import Sources
from services.catalog.usecases import source_accounts
from services.catalog.usecases.source_create import NewSource
from services.catalog.usecases.source_types import STORAGE_ACCOUNT
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call


class StorageAccountServicer:
    """Storage accounts, as places of VHDs."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._sources: Final = Sources(
            dependencies,
            STORAGE_ACCOUNT,
            dependencies.readers.storage_accounts,
            pb.ListStorageAccountsResponse,
            entries="storage_accounts",
            fields={"store": Kind.STRING},
        )

    def CreateStorageAccount(self, request: pb.CreateStorageAccountRequest, call: Call) -> bytes:
        sent = request.storage_account
        command = source_accounts.CreateStorageAccount(
            NewSource(
                mutations.scope_of(call),
                request.storage_account_id,
                sent.location,
                dict(sent.tags),
            ),
            sent.store,
        )
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: source_accounts.create(
                command, context, mutation, world=self._sources.world
            ),
        )

    def GetStorageAccount(self, request: pb.GetStorageAccountRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListStorageAccounts(self, request: pb.ListStorageAccountsRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteStorageAccount(self, request: pb.DeleteStorageAccountRequest, call: Call) -> bytes:
        return self._sources.delete(request, call)
