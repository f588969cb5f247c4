"""What callers do with disk encryption sets."""

from dataclasses import dataclass

from services.catalog.domain.disk_encryption_set import DiskEncryptionSet, EncryptionType
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases.source_create import Creation, NewSource, World
from services.catalog.usecases.source_types import ENCRYPTION_SET


@dataclass(frozen=True, slots=True)
class CreateEncryptionSet:
    """A set to be made."""

    new: NewSource
    key_uri: str
    encryption_type: EncryptionType


def create(
    command: CreateEncryptionSet,
    context: Context,
    mutation: Mutation[DiskEncryptionSet],
    *,
    world: World,
) -> bytes:
    """Create a set.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: PARENT_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        Aborted: the group is being deleted.
        Unavailable: the region is not mirrored, and replication does not answer.
    """
    violations = context.violations
    creation = Creation(ENCRYPTION_SET, command.new, context, world, path="disk_encryption_set")
    if not command.key_uri:
        violations.add("disk_encryption_set.key_uri", "is required")

    def work(tx: Tx) -> DiskEncryptionSet:
        found = violations.copy()
        group = creation.group(tx, found)
        found.raise_if_any()
        made = DiskEncryptionSet(
            **creation.common(group),
            key_uri=command.key_uri,
            encryption_type=command.encryption_type,
        )
        return creation.add(tx, group, made)

    return mutation.commit(work)
