"""Tenants, management groups and subscriptions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.authz.domain import records
from services.authz.domain.names import root_of
from services.authz.domain.records import ManagementGroup, Subscription, SubscriptionState, Tenant
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.finding import found, parent_not_found
from services.kernel.errors import AlreadyExists, FailedPrecondition
from services.kernel.etag import require_match
from services.kernel.ids import new_uid
from services.kernel.names import key, parent

# Levels of management groups below the root.
MAX_DEPTH = 6


def create_tenant(
    unit: Unit,
    name: str,
    display_name: str,
    community: records.CommunitySharing = records.CommunitySharing.ALLOWED,
) -> Tenant:
    """Create a tenant with its root management group.

    Raises:
        AlreadyExists: RESOURCE_EXISTS, or ID_USED_BEFORE.
    """
    made = Tenant(
        name=name,
        display_name=display_name,
        uid=new_uid(),
        create_time=unit.now,
        update_time=unit.now,
        community_sharing=community,
    )
    if unit.facts.tenant(made.key) is not None:
        raise AlreadyExists.of("stoa.dev/Tenant", name)
    refuse_used(unit.facts, made.key)
    unit.put(made)
    unit.put(
        ManagementGroup(
            name=made.root_management_group,
            display_name=display_name,
            parent="",
            uid=new_uid(),
            create_time=unit.now,
            update_time=unit.now,
        )
    )
    return made


def get_tenant(facts: Facts, name: str) -> Tenant:
    """Answer one tenant.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    return found(facts.tenant(key(name)), "Tenant", name)


def delete_tenant(unit: Unit, name: str, etag: str) -> None:
    """Delete a tenant that has nothing in it.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: RESOURCE_NOT_EMPTY.
    """
    facts = unit.facts
    tenant = get_tenant(facts, name)
    require_match(etag, tenant.version, uid=tenant.uid, resource=tenant.name)
    root_key = key(tenant.root_management_group)
    children = [one.name for one in facts.management_groups_in(root_key)]
    children += [one.name for one in facts.subscriptions_of(tenant.key)]
    if facts.has_principals(tenant.key):
        children.append(f"{tenant.name} (principals)")
    refuse_children(tenant.name, children)
    root = facts.management_group(root_key)
    for record in facts.at_or_below(tenant.key):
        unit.remove(record)
    for role in facts.role_definitions_of(tenant.key):
        unit.remove(role)
    if root is not None:
        unit.remove(root)
    unit.remove(tenant)
    unit.use_up(tenant.key)


def create_management_group(
    unit: Unit, name: str, display_name: str, above: str
) -> ManagementGroup:
    """Create a management group within another one of the same tenant.

    Raises:
        AlreadyExists: RESOURCE_EXISTS.
        NotFound: PARENT_NOT_FOUND.
        FailedPrecondition: MANAGEMENT_GROUP_TOO_DEEP.
    """
    facts = unit.facts
    if facts.tenant(key(parent(name))) is None:
        raise parent_not_found(parent(name))
    upper = facts.management_group(key(above))
    if upper is None or key(upper.tenant) != key(parent(name)):
        raise parent_not_found(above)
    made = ManagementGroup(
        name=name,
        display_name=display_name,
        parent=upper.name,
        uid=new_uid(),
        create_time=unit.now,
        update_time=unit.now,
    )
    if facts.management_group(made.key) is not None:
        raise AlreadyExists.of("stoa.dev/ManagementGroup", name)
    if depth(facts, upper) + 1 > MAX_DEPTH:
        raise too_deep(name)
    unit.put(made)
    return made


def get_management_group(facts: Facts, name: str) -> ManagementGroup:
    """Answer one management group.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    return found(facts.management_group(key(name)), "ManagementGroup", name)


def delete_management_group(unit: Unit, name: str, etag: str) -> None:
    """Delete a management group that holds nothing, with what is assigned at it.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: ROOT_MANAGEMENT_GROUP, RESOURCE_NOT_EMPTY.
    """
    facts = unit.facts
    group = get_management_group(facts, name)
    require_match(etag, group.version, uid=group.uid, resource=group.name)
    refuse_root(group)
    children = [one.name for one in facts.management_groups_in(group.key)]
    children += [one.name for one in facts.subscriptions_in(group.key)]
    refuse_children(group.name, children)
    for record in facts.at_or_below(group.key):
        unit.remove(record)
    unit.remove(group)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """What is asked for; an empty parent means the root of the tenant."""

    name: str
    display_name: str
    tenant: str
    tags: Mapping[str, str]
    parent: str = ""


def create_subscription(unit: Unit, new: NewSubscription) -> Subscription:
    """Create a subscription, ENABLED.

    Raises:
        AlreadyExists: RESOURCE_EXISTS.
        NotFound: PARENT_NOT_FOUND.
    """
    facts = unit.facts
    tenant = facts.tenant(key(new.tenant))
    if tenant is None:
        raise parent_not_found(new.tenant)
    above = new.parent or root_of(tenant.name)
    group = facts.management_group(key(above))
    if group is None or key(group.tenant) != tenant.key:
        raise parent_not_found(above)
    made = Subscription(
        name=new.name,
        display_name=new.display_name,
        tenant=tenant.name,
        parent=group.name,
        uid=new_uid(),
        create_time=unit.now,
        update_time=unit.now,
        tags=dict(new.tags),
    )
    if facts.subscription(made.key) is not None:
        raise AlreadyExists.of("stoa.dev/Subscription", new.name)
    unit.put(made)
    return made


def get_subscription(facts: Facts, name: str) -> Subscription:
    """Answer one subscription.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    return found(facts.subscription(key(name)), "Subscription", name)


def set_state(unit: Unit, name: str, state: SubscriptionState, etag: str) -> Subscription:
    """Take a subscription out of use or into it; one that is so already stays as it is.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
    """
    before = get_subscription(unit.facts, name)
    require_match(etag, before.version, uid=before.uid, resource=before.name)
    if before.state is state:
        return before
    after = replace(before, state=state, update_time=unit.now, version=before.version + 1)
    unit.put(after)
    return after


def refuse_used(facts: Facts, identity: str) -> None:
    """Refuse an id that was given before.

    Raises:
        AlreadyExists: ID_USED_BEFORE.
    """
    if facts.was_used(identity):
        last = identity.rpartition("/")[2]
        raise AlreadyExists(
            f"the id {last} was given before; ids are never given again",
            reason="ID_USED_BEFORE",
            metadata={"id": last},
        )


def refuse_children(name: str, children: list[str]) -> None:
    """Refuse to delete what holds something.

    Raises:
        FailedPrecondition: RESOURCE_NOT_EMPTY, with the names of some of it.
    """
    if children:
        shown = ",".join(sorted(children)[:20])
        raise FailedPrecondition(
            f"{name} still holds {shown}",
            reason="RESOURCE_NOT_EMPTY",
            metadata={"resource": name, "children": shown},
        )


def refuse_root(group: ManagementGroup) -> None:
    """Refuse to move or delete the management group at the top of a tenant.

    Raises:
        FailedPrecondition: ROOT_MANAGEMENT_GROUP.
    """
    if not group.parent:
        raise FailedPrecondition(
            "the root management group stays where it is, and goes with its tenant alone",
            reason="ROOT_MANAGEMENT_GROUP",
            metadata={"management_group": group.name},
        )


def too_deep(name: str) -> FailedPrecondition:
    """Build the error for management groups that would lie too far below the root."""
    return FailedPrecondition(
        f"{name}, or one below it, would lie more than {MAX_DEPTH} levels below the root",
        reason="MANAGEMENT_GROUP_TOO_DEEP",
        metadata={"management_group": name, "limit": str(MAX_DEPTH)},
    )


def depth(facts: Facts, group: ManagementGroup) -> int:
    """Answer how many levels below the root a management group lies."""
    levels = 0
    above: ManagementGroup | None = group
    while above is not None and above.parent:
        levels += 1
        above = facts.management_group(key(above.parent))
    return levels
