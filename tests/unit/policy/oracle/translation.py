"""A world in the words of Cedar: entities, and a policy for each thing that was written.

Written from authorization.md 1.2 to 1.5 and from the comments of the contract; it knows nothing
of how the evaluator goes about it. Cedar itself finds what lies in what, matches the patterns,
and lets every `forbid` win over every `permit`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from services.policy.model import (
    EVERYONE,
    DenyAssignment,
    EligibleAssignment,
    Permissions,
    Plane,
    RoleAssignment,
    SharingGrant,
    SharingMode,
)
from tests.unit.policy.oracle.questions import EPOCH, TICK, VIEW_READS
from tests.unit.policy.oracle.worlds import World, view_of

Json = dict[str, Any]


class Says(Enum):
    """What it means that a policy applies to a question."""

    GRANT = "a role held now permits it"
    DENY = "a deny assignment forbids it"
    NOT_SHARED = "the view is covered by no publisher, or its name by several"
    READ_ONLY = "a view can only be read"
    # The following decide nothing; they tell why a refusal is one.
    FALSE = "the condition does not hold, else it would be permitted"
    UNSUPPORTED = "the condition is not understood, else it would be permitted"
    NOT_YET = "it would be permitted later"
    EXPIRED = "it was permitted before"
    ELIGIBLE = "it would be permitted after an activation"
    ALMOST = "several of these at once"
    HELD = "a role held now does not permit it"
    HELD_ONCE = "a role that is not in force does not permit it"
    SHARED_SUBSCRIPTION = "shared with the consumer's subscription"
    SHARED_TENANT = "shared with the consumer's tenant"
    COMMUNITY = "open to the community"


DECIDING: Final = frozenset({Says.GRANT, Says.DENY, Says.NOT_SHARED, Says.READ_ONLY})


@dataclass(frozen=True)
class Policy:
    """One policy, what it says, and the name of what it was made from."""

    says: Says
    about: str
    effect: str
    head: str
    when: tuple[str, ...] = ()

    def text(self) -> str:
        condition = f" when {{ {' && '.join(self.when)} }}" if self.when else ""
        return f"{self.effect}({self.head}){condition};"


def quoted(text: str) -> str:
    """A string of Cedar."""
    return json.dumps(text)


def moment(at: datetime) -> int:
    """Microseconds, since Cedar counts in whole numbers."""
    return (at - EPOCH) // TICK


def caller(key: str) -> str:
    return f"Caller::{quoted(key)}"


def holder(key: str) -> str:
    return f"Holder::{quoted(key)}"


def kind_of(scope: str) -> str:
    return "Scope" if view_of(scope) is None else "View"


def place(scope: str) -> str:
    return f"{kind_of(scope)}::{quoted(scope)}"


def any_of(terms: Iterable[str]) -> str:
    found = list(terms)
    return f"({' || '.join(found)})" if found else "false"


def like(pattern: str) -> str:
    return f"context.action like {quoted(pattern.lower())}"


def permits(united: Iterable[Permissions]) -> str:
    """Whether the action is among the permissions; each subtracts from itself alone."""
    terms = []
    for one in united:
        for plane, plus, minus in (
            ("control", one.actions, one.not_actions),
            ("data", one.data_actions, one.not_data_actions),
        ):
            if plus:
                granted, taken = any_of(map(like, plus)), any_of(map(like, minus))
                terms.append(f'(context.plane == "{plane}" && {granted} && !{taken})')
    return any_of(terms)


def began(start: datetime | None) -> str:
    return "true" if start is None else f"context.now >= {moment(start)}"


def ended(end: datetime | None) -> str:
    return "false" if end is None else f"context.now >= {moment(end)}"


def during(start: datetime | None, end: datetime | None) -> str:
    return f"({began(start)} && !({ended(end)}))"


def held_policies(world: World, held: RoleAssignment) -> Iterator[Policy]:
    """A role held at a scope and below."""
    head = f"principal in {holder(held.principal)}, action, resource in {place(held.scope)}"
    can = permits(world.roles[held.role].permissions)
    now = during(held.start, held.end)

    def says(what: Says, *when: str) -> Policy:
        return Policy(what, held.name, "permit", head, when)

    if held.condition:
        yield from conditional(world, held, says, can, now)
        return
    yield says(Says.GRANT, can, now)
    yield says(Says.NOT_YET, can, f"!({began(held.start)})")
    yield says(Says.EXPIRED, can, ended(held.end))
    yield says(Says.HELD, f"!{can}", now)
    yield says(Says.HELD_ONCE, f"!{can}", f"!{now}")


def conditional(
    world: World,
    held: RoleAssignment | EligibleAssignment,
    says: Callable[..., Policy],
    can: str,
    now: str,
) -> Iterator[Policy]:
    """A role held under a condition; one that is not understood voids it."""
    holds = world.conditions.get(held.condition)
    if holds is None:
        yield says(Says.UNSUPPORTED, can, now)
    else:
        yield says(Says.GRANT, can, now, holds)
        yield says(Says.FALSE, can, now, f"!{holds}")
    yield says(Says.ALMOST, can, f"!{now}")
    yield says(Says.HELD_ONCE, f"!{can}")


def eligible_policies(world: World, held: EligibleAssignment) -> Iterator[Policy]:
    """A role that counts for who activated it, while both that and the assignment last."""
    head = f"principal in {holder(held.principal)}, action, resource in {place(held.scope)}"
    can = permits(world.roles[held.role].permissions)
    window = during(held.start, held.end)
    active = any_of(
        f"(principal == {caller(one.principal)} && {during(one.start, one.end)})"
        for one in held.activations
    )

    def says(what: Says, *when: str) -> Policy:
        return Policy(what, held.name, "permit", head, when)

    if held.condition:
        yield from conditional(world, held, says, can, f"({window} && {active})")
        return
    yield says(Says.GRANT, can, window, active)
    yield says(Says.ELIGIBLE, can, window, f"!{active}")
    yield says(Says.ALMOST, can, f"!{window}")
    yield says(Says.HELD, f"!{can}", window, active)
    yield says(Says.HELD_ONCE, f"!{can}", f"!({window} && {active})")


def deny_policy(held: DenyAssignment) -> Policy:
    """What is forbidden at a scope, and below unless it is for the scope alone."""
    relation = "==" if held.do_not_apply_to_child_scopes else "in"
    reached = permits(held.permissions)
    named = any_of(
        "true" if one == EVERYONE else f"principal in {holder(one)}"
        for one in sorted(held.principals)
    )
    excluded = any_of(f"principal in {holder(one)}" for one in sorted(held.exclude_principals))
    head = f"principal, action, resource {relation} {place(held.scope)}"
    return Policy(Says.DENY, held.name, "forbid", head, (named, f"!{excluded}", reached))


def alias(gallery: str) -> str:
    """The name by which the original knows a directly shared gallery."""
    segments = gallery.split("/")
    return f"{segments[1]}-{segments[-1]}"


def consumers(keys: Iterable[str]) -> str:
    """Whether the consumer's subscription is one of these or lies in one of these tenants."""
    return any_of(f"resource.consumer in {place(one)}" for one in sorted(keys))


def named(grant: SharingGrant) -> str:
    """Whether the view bears a name of this grant, in the namespace of its mode."""
    if grant.mode is SharingMode.GROUPS:
        names = [grant.shared_id.lower(), alias(grant.gallery)]
        return f'(resource.kind == "sharedgalleries" && {any_of(map(is_named, names))})'
    return f'(resource.kind == "communitygalleries" && {is_named(grant.public_name.lower())})'


def is_named(name: str) -> str:
    return f"resource.named == {quoted(name)}"


def coverages(grant: SharingGrant) -> Iterator[tuple[Says, str]]:
    """By what a grant covers a view that bears its name."""
    known = f"resource has consumer && {named(grant)} && !{consumers(grant.blocked)}"
    if grant.mode is SharingMode.GROUPS:
        yield Says.SHARED_SUBSCRIPTION, f"({known} && {consumers(grant.subscriptions)})"
        yield Says.SHARED_TENANT, f"({known} && {consumers(grant.tenants)})"
    elif grant.mode is SharingMode.COMMUNITY and grant.community_enabled:
        yield Says.COMMUNITY, f"({known})"


def view_policies(world: World) -> Iterator[Policy]:
    """A view shows what exactly one publisher has opened to its consumer, for reading."""
    head = "principal, action, resource is View"
    covered = []
    for grant in world.grants.values():
        by = list(coverages(grant))
        for says, covers in by:
            yield Policy(says, grant.gallery, "permit", head, (covers,))
        covered.append(any_of(covers for _, covers in by))
    several = any_of(
        f"({one} && {other})" for at, one in enumerate(covered) for other in covered[:at]
    )
    alone = f"({any_of(covered)} && !{several})"
    yield Policy(Says.NOT_SHARED, "", "forbid", head, (f"!{alone}",))
    own = any_of(
        f"(resource.kind == {quoted(kind)} && {any_of(map(like, reads))})"
        for kind, reads in VIEW_READS.items()
    )
    control = 'context.plane == "control"'
    yield Policy(Says.READ_ONLY, "", "forbid", head, (f"!({control} && {own})",))


def policies(world: World) -> list[Policy]:
    """Every policy of a world."""
    found = list(view_policies(world))
    for assignment in world.assignments.values():
        found += held_policies(world, assignment)
    for eligible in world.eligibles.values():
        found += eligible_policies(world, eligible)
    return found + [deny_policy(deny) for deny in world.denies.values()]


def entities(world: World, callers: Iterable[str], scopes: Iterable[str]) -> list[Json]:
    """Who asks, with what they hold through; and where, with what that lies in."""
    found = [_caller(world, one) for one in sorted(set(callers))]
    places: dict[str, Json] = {}
    for scope in (*scopes, *world.subscriptions, *world.tenants):
        for one in world.chain(scope):
            places.setdefault(one, _place(world, one))
    return found + list(places.values())


def _uid(kind: str, key: str) -> Json:
    return {"type": kind, "id": key}


def _caller(world: World, key: str) -> Json:
    """One whom the directory does not know, or who is disabled, holds nothing.

    Groups may contain each other, which parents in Cedar may not: the closure is given.
    """
    known = world.principals.get(key)
    through = sorted(world.holders(key)) if known is not None and known.enabled else []
    parents = [_uid("Holder", one) for one in through]
    return {"uid": _uid("Caller", key), "attrs": {}, "parents": parents}


def _place(world: World, scope: str) -> Json:
    upper = world.above(scope)
    parents = [] if upper is None else [_uid(kind_of(upper), upper)]
    attrs: Json = {}
    view = view_of(scope)
    if view is not None:
        kind, name, consumer = view
        attrs = {"kind": kind, "named": name}
        if consumer in world.subscriptions:
            attrs["consumer"] = {"__entity": _uid("Scope", consumer)}
    return {"uid": _uid(kind_of(scope), scope), "attrs": attrs, "parents": parents}


def plane_name(plane: Plane) -> str:
    return "control" if plane is Plane.CONTROL else "data"
