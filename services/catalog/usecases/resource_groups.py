"""What callers do with resource groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.catalog.domain import names
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks
from services.catalog.usecases.updates import Update, admit, refuse_absent, revised
from services.kernel.errors import NotFound
from services.kernel.field_mask import FieldTable
from services.kernel.ids import new_uid
from services.kernel.names import Name

FIELDS: Final = FieldTable(
    mutable=frozenset({"tags"}),
    immutable=frozenset({"location"}),
    output_only=frozenset({"create_time", "update_time", "uid", "provisioning_state"}),
    maps=frozenset({"tags"}),
)


@dataclass(frozen=True, slots=True)
class CreateResourceGroup:
    """A group to be made in a subscription."""

    parent: Name
    id: str
    location: str
    tags: Mapping[str, str]


def create(
    command: CreateResourceGroup,
    context: Context,
    mutation: Mutation[ResourceGroup],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
) -> bytes:
    """Create a resource group.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: PARENT_NOT_FOUND, there is no such subscription.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
    """
    violations = context.violations
    info = checks.subscription(subscriptions, command.parent.text, violations)
    region = checks.find_region(command.location, "resource_group.location", regions, violations)
    if info is None:
        raise checks.parent_missing(names.SUBSCRIPTION_TYPE, command.parent.text, violations)
    violations.raise_if_any()
    if region is None:
        raise AssertionError("a region that is not known is a violation")
    now = context.clock.now()
    group = ResourceGroup(
        name=f"{command.parent.text}/resourceGroups/{command.id}",
        uid=new_uid(),
        location=region.id,
        create_time=now,
        update_time=now,
        policy_revision=context.access.revision,
        tags=command.tags,
    )

    def work(tx: Tx) -> ResourceGroup:
        existing = tx.groups.get(group.key)
        if existing is not None:
            raise checks.taken(names.RESOURCE_GROUP_TYPE, group.location, existing)
        tx.groups.insert(group)
        return group

    return mutation.commit(work)


def update(
    command: Update,
    context: Context,
    mutation: Mutation[ResourceGroup],
    *,
    subscriptions: Subscriptions,
) -> bytes:
    """Change the tags of a resource group.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: there is no such group.
        Aborted: ETAG_MISMATCH, or the group is being deleted.
    """

    def work(tx: Tx) -> ResourceGroup:
        violations = context.violations.copy()
        checks.subscription(subscriptions, command.name.text, violations)
        group = tx.groups.get(command.name.key, lock=True)
        if group is None:
            absent = NotFound.of(names.RESOURCE_GROUP_TYPE, command.name.text)
            raise refuse_absent(command, FIELDS, violations, absent)
        current = {"location": group.location, "tags": group.tags}
        changes = FIELDS.changes(command.mask, command.sent, current, violations)
        admit(tx, group, command.etag, violations)
        changed = revised(group, context, tags=tags_after(group.tags, changes))
        tx.groups.update(changed)
        return changed

    return mutation.commit(work)


def tags_after(tags: Mapping[str, str], changes: Mapping[str, object]) -> Mapping[str, str]:
    """Answer tags after a change of all of them, or of some keys (`tags.KEY`)."""
    if "tags" in changes:
        whole = changes["tags"]
        return dict(whole) if isinstance(whole, Mapping) else {}
    after = dict(tags)
    for path, value in changes.items():
        if path.startswith("tags."):
            after.pop(path[5:], None)
            if value is not None:
                after[path[5:]] = str(value)
    return after
