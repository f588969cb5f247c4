"""Changing tenants, management groups and subscriptions, and moving the latter two."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from services.authz.domain.names import root_of
from services.authz.domain.records import CommunitySharing, ManagementGroup, Subscription, Tenant
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.directory import MAX_DEPTH, depth, refuse_root, too_deep
from services.authz.usecases.finding import parent_not_found
from services.authz.usecases.owners import owners_kept
from services.authz.usecases.updating import Update, admit, present, required, revised
from services.kernel.errors import FailedPrecondition
from services.kernel.field_mask import FieldTable, replaced
from services.kernel.names import key
from services.kernel.rpc.access import Access
from services.kernel.violations import Violations

PARENT: Final = "parent_management_group"
_OUTPUT: Final = frozenset({"create_time", "update_time", "uid"})
TENANT: Final = FieldTable(
    mutable=frozenset({"display_name", "community_sharing"}),
    output_only=_OUTPUT | {"root_management_group"},
)
MANAGEMENT_GROUP: Final = FieldTable(
    mutable=frozenset({"display_name", PARENT}), output_only=_OUTPUT
)
SUBSCRIPTION: Final = FieldTable(
    mutable=frozenset({"display_name", PARENT, "tags"}),
    immutable=frozenset({"tenant"}),
    output_only=_OUTPUT | {"state"},
    maps=frozenset({"tags"}),
)
_MAX_TAGS: Final = 50
_ASSIGN: Final = "Microsoft.Authorization/roleAssignments/write"
_WRITE_GROUP: Final = "Stoa.Directory/managementGroups/write"


def update_tenant(unit: Unit, asked: Update, *, access: Access, violations: Violations) -> Tenant:
    """Change a tenant; only who may give roles in it sets what may become public.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        NotFound: RESOURCE_NOT_FOUND.
        PermissionDenied: the rule for the community is not the caller's to set.
        Aborted: ETAG_MISMATCH.
    """
    before = present(unit.facts.tenant(key(asked.name)), "Tenant", asked.name, violations)
    changes = TENANT.changes(asked.mask, asked.sent, {}, violations)
    required("tenant", changes, ["display_name"], violations)
    rule = changes.get("community_sharing", before.community_sharing) or CommunitySharing.ALLOWED
    if rule is not before.community_sharing:
        access.require(_ASSIGN, before.name)
    admit(asked, before, violations)
    shown = changes.get("display_name", before.display_name)
    return revised(unit, before, replace(before, display_name=shown, community_sharing=rule))


def update_management_group(
    unit: Unit, asked: Update, *, access: Access, violations: Violations
) -> ManagementGroup:
    """Rename a management group, or move it with all below it.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        NotFound: RESOURCE_NOT_FOUND, PARENT_NOT_FOUND.
        PermissionDenied: it may not be taken from where it is, or put where it shall be.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: ROOT_MANAGEMENT_GROUP, MANAGEMENT_GROUP_CYCLE,
            MANAGEMENT_GROUP_TOO_DEEP, LAST_OWNER.
    """
    facts = unit.facts
    record = facts.management_group(key(asked.name))
    before = present(record, "ManagementGroup", asked.name, violations)
    changes = MANAGEMENT_GROUP.changes(asked.mask, asked.sent, {}, violations)
    needed = ["display_name", PARENT] if before.parent else ["display_name"]
    required("management_group", changes, needed, violations)
    above = changes.get(PARENT, before.parent)
    moves = key(above) != key(before.parent)
    if moves and above:
        _demand_move(access, before.name, before.parent, above)
    admit(asked, before, violations)
    after = replace(before, display_name=changes.get("display_name", before.display_name))
    if not moves:
        return revised(unit, before, after)
    refuse_root(before)
    upper = _parent(facts, above, before.tenant)
    _refuse_cycle(facts, before, upper)
    if depth(facts, upper) + 1 + _height(facts, before) > MAX_DEPTH:
        raise too_deep(before.name)
    with owners_kept(unit):
        return revised(unit, before, replace(after, parent=upper.name))


def update_subscription(
    unit: Unit, asked: Update, *, access: Access, violations: Violations
) -> Subscription:
    """Change what a subscription shows, or move it to another management group of its tenant.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        NotFound: RESOURCE_NOT_FOUND, PARENT_NOT_FOUND.
        PermissionDenied: it may not be taken from where it is, or put where it shall be.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: PROPERTY_CHANGE_NOT_ALLOWED, LAST_OWNER.
    """
    facts = unit.facts
    record = facts.subscription(key(asked.name))
    before = present(record, "Subscription", asked.name, violations)
    # Names are the same however they are spelled.
    sent = {**asked.sent, "tenant": key(asked.sent["tenant"])}
    changes = SUBSCRIPTION.changes(asked.mask, sent, {"tenant": key(before.tenant)}, violations)
    required("subscription", changes, ["display_name"], violations)
    tags = _tags(before.tags, changes)
    if len(tags) > _MAX_TAGS:
        violations.add("subscription.tags", f"a subscription has at most {_MAX_TAGS} tags")
    above = changes.get(PARENT, before.parent) or root_of(before.tenant)
    moves = key(above) != key(before.parent)
    if moves:
        _demand_move(access, before.name, before.parent, above)
    admit(asked, before, violations)
    shown = changes.get("display_name", before.display_name)
    after = replace(before, display_name=shown, tags=tags)
    if not moves:
        return revised(unit, before, after)
    upper = _parent(facts, above, before.tenant)
    with owners_kept(unit):
        return revised(unit, before, replace(after, parent=upper.name))


def _demand_move(access: Access, name: str, left: str, entered: str) -> None:
    """Demand what a move takes: it gives and takes whatever is inherited."""
    if left:
        access.require(_WRITE_GROUP, left)
    access.require(_WRITE_GROUP, entered)
    access.require(_ASSIGN, name)


def _parent(facts: Facts, name: str, tenant: str) -> ManagementGroup:
    group = facts.management_group(key(name))
    if group is None or key(group.tenant) != key(tenant):
        raise parent_not_found(name)
    return group


def _refuse_cycle(facts: Facts, group: ManagementGroup, upper: ManagementGroup) -> None:
    above: ManagementGroup | None = upper
    while above is not None:
        if above.key == group.key:
            raise FailedPrecondition(
                f"{group.name} would lie within itself",
                reason="MANAGEMENT_GROUP_CYCLE",
                metadata={"management_group": group.name},
            )
        above = facts.management_group(key(above.parent)) if above.parent else None


def _height(facts: Facts, group: ManagementGroup) -> int:
    """Answer how many levels of management groups lie below one."""
    level, height = [group], 0
    while level := [two for one in level for two in facts.management_groups_in(one.key)]:
        height += 1
    return height


def _tags(tags: Mapping[str, str], changes: Mapping[str, Any]) -> Mapping[str, str]:
    ours = {path: value for path, value in changes.items() if path.partition(".")[0] == "tags"}
    after: Mapping[str, str] = replaced({"tags": tags}, ours)["tags"]
    return after
