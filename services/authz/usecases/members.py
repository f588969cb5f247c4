"""Lists of the members of a group, direct ones or all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.authz.domain.records import Principal
from services.authz.ports.policy import Facts, PolicyStore
from services.authz.usecases import principals
from services.authz.usecases.listing import Asked
from services.kernel.filter import Comparison, Op, parse_filter
from services.kernel.names import key
from services.kernel.paging import KeyValue, PageBinding, PageTokens, page_size
from services.kernel.violations import Violations
from services.policy.model import PrincipalKind

_TYPES: Final = {
    "USER": PrincipalKind.USER,
    "GROUP": PrincipalKind.GROUP,
    "SERVICE_PRINCIPAL": PrincipalKind.SERVICE_PRINCIPAL,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A member; `since` is None for one that belongs to the group through another alone."""

    principal: Principal
    since: datetime | None


def page_of(
    store: PolicyStore,
    tokens: PageTokens,
    asked: Asked,
    violations: Violations,
    *,
    transitive: bool,
) -> tuple[list[Listed], str]:
    """Answer a page of members in the order of their keys, and the token of the next.

    Raises:
        InvalidArgument: the filter or the token, with everything else.
        NotFound: RESOURCE_NOT_FOUND.
    """
    binding = PageBinding(
        asked.method, asked.parent, asked.caller, filter=asked.filter, extra=asked.extra
    )
    filters: tuple[Comparison, ...] = ()
    after: tuple[KeyValue, ...] | None = None
    size = 0
    with violations.collect():
        filters = parse_filter(asked.filter, {"member_type": frozenset(_TYPES)})
    with violations.collect():
        after = tokens.decode(asked.page_token, binding)
    with violations.collect():
        size = page_size(asked.page_size)
    violations.raise_if_any()

    def read(facts: Facts) -> list[Listed]:
        group = principals.get(facts, asked.parent, PrincipalKind.GROUP)
        since = _reached(facts, group.key, transitive=transitive)
        last = str(after[0]) if after is not None else ""
        found: list[Listed] = []
        for member in _in_order(since, last):
            principal = facts.principal(member)
            if principal is not None and all(_fits(principal, one) for one in filters):
                found.append(Listed(principal, since[member]))
            if len(found) > size:
                break
        return found

    found = store.snapshot(read)
    if len(found) <= size:
        return found, ""
    return found[:size], tokens.encode((found[size - 1].principal.key,), binding)


def _in_order(since: dict[str, datetime | None], last: str) -> Iterator[str]:
    return (one for one in sorted(since) if one > last)


def _reached(facts: Facts, group_key: str, *, transitive: bool) -> dict[str, datetime | None]:
    """Answer the members with since when they are direct ones."""
    since: dict[str, datetime | None] = {
        key(one.member): one.create_time for one in facts.members(group_key)
    }
    pending = [one for one in since if "/groups/" in one] if transitive else []
    seen = {group_key}
    while pending:
        group = pending.pop()
        if group in seen:
            continue
        seen.add(group)
        for one in facts.members(group):
            member = key(one.member)
            since.setdefault(member, None)
            if "/groups/" in member:
                pending.append(member)
    # Through a cycle a group reaches itself, of which nobody would call it a member.
    since.pop(group_key, None)
    return since


def _fits(principal: Principal, comparison: Comparison) -> bool:
    same = principal.kind is _TYPES[str(comparison.value)]
    return same if comparison.op is Op.EQ else not same
