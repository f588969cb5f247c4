"""What callers do with storage accounts."""

from dataclasses import dataclass

from services.catalog.domain import reasons
from services.catalog.domain.disk_source import ByteSource, SourceKind
from services.catalog.domain.storage_account import StorageAccount
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases.source_create import Creation, NewSource, World
from services.catalog.usecases.source_types import STORAGE_ACCOUNT

_STORE = "storage_account.store"


@dataclass(frozen=True, slots=True)
class CreateStorageAccount:
    """An account to be made."""

    new: NewSource
    store: str


def create(
    command: CreateStorageAccount,
    context: Context,
    mutation: Mutation[StorageAccount],
    *,
    world: World,
) -> bytes:
    """Create an account.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        FailedPrecondition: STORE_NOT_ALLOWED, or the subscription is disabled.
        NotFound: PARENT_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        Aborted: the group is being deleted.
        Unavailable: the replication service, which knows the stores, does not answer.
    """
    violations = context.violations
    creation = Creation(STORAGE_ACCOUNT, command.new, context, world, path="storage_account")
    if not command.store:
        violations.add(_STORE, "is required")
    elif creation.region is not None and not violations.has_field(_STORE):
        location = creation.region.id
        found = world.sources.inspect(ByteSource(SourceKind.STORE_FILE, command.store))
        if found is None or found.location != location:
            violations.precondition(
                reasons.STORE_NOT_ALLOWED,
                command.store,
                f"no store {command.store} is allowed in {location}",
                reason=reasons.STORE_NOT_ALLOWED,
                metadata={"store": command.store, "location": location},
            )

    def work(tx: Tx) -> StorageAccount:
        found = violations.copy()
        group = creation.group(tx, found)
        found.raise_if_any()
        made = StorageAccount(**creation.common(group), store=command.store)
        return creation.add(tx, group, made)

    return mutation.commit(work)
