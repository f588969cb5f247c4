"""The tree of scopes that hold something, and the editor that makes its successor.

A node for a scope exists where the scope, or one below it, holds an assignment, a deny
or a grant. The children of the root are the shards: one per subscription and one per
tenant, reached without copying the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from services.policy.holders import HoldersEditor
from services.policy.matching import PermissionMatcher
from services.policy.model import (
    EVERYONE,
    DenyAssignment,
    EligibleAssignment,
    RoleAssignment,
    SharingGrant,
)
from services.policy.persistent_map import MapEditor

Held = RoleAssignment | EligibleAssignment

Entry = TypeVar("Entry")

#: Above this many, what concerns somebody at a scope is looked up and not looked through.
_MANY: Final = 16


class Deny:
    """A deny assignment with its permissions ready to be asked."""

    __slots__ = ("assignment", "matcher")

    def __init__(self, assignment: DenyAssignment) -> None:
        self.assignment = assignment
        self.matcher = PermissionMatcher(assignment.permissions)


class ScopeNode:
    """What one scope holds, and the nodes of the scopes below it. Never changed."""

    __slots__ = ("_denies_by", "_held_by", "children", "denies", "grant", "held")

    def __init__(
        self,
        children: "Mapping[str, ScopeNode]",
        held: tuple[Held, ...],
        denies: tuple[Deny, ...],
        grant: SharingGrant | None,
    ) -> None:
        self.children = children
        self.held = held
        self.denies = denies
        self.grant = grant
        self._held_by = _grouped((one, (one.principal,)) for one in held) if _many(held) else None
        self._denies_by = (
            _grouped((one, one.assignment.principals) for one in denies) if _many(denies) else None
        )

    def held_by(self, identities: frozenset[str]) -> list[Held]:
        """Answer what any of `identities` holds here."""
        if self._held_by is None:
            return [one for one in self.held if one.principal in identities]
        return _of_any(self._held_by, identities)

    def denies_for(self, identities: frozenset[str]) -> Sequence[Deny]:
        """Answer at least the denies that name any of `identities`, or everyone."""
        if self._denies_by is None:
            return self.denies
        return _of_any(self._denies_by, identities | {EVERYONE})

    def is_empty(self) -> bool:
        """Whether nothing is held here or below."""
        return not (self.children or self.held or self.denies or self.grant)


def _denied(denies: Iterable[Deny]) -> Iterator[str]:
    return (principal for one in denies for principal in one.assignment.principals)


def _many(entries: Sequence[object]) -> bool:
    return len(entries) > _MANY


def _grouped(entries: Iterable[tuple[Entry, Iterable[str]]]) -> dict[str, list[Entry]]:
    grouped: dict[str, list[Entry]] = {}
    for entry, principals in entries:
        for principal in principals:
            grouped.setdefault(principal, []).append(entry)
    return grouped


def _of_any(grouped: Mapping[str, list[Entry]], identities: frozenset[str]) -> list[Entry]:
    """Answer the entries of `identities`: work bounded by the shorter side (threat T26)."""
    if len(grouped) < len(identities):
        return [one for key, held in grouped.items() if key in identities for one in held]
    return [one for key in identities for one in grouped.get(key, ())]


EMPTY_NODE: Final = ScopeNode({}, (), (), None)


class NodeEditor:
    """A successor of one node in the making; only what is opened is copied."""

    __slots__ = ("_base", "_denies", "_grant", "_held", "_opened")

    def __init__(self, base: ScopeNode) -> None:
        self._base = base
        self._opened: dict[str, NodeEditor] = {}
        self._held: dict[str, Held] | None = None
        self._denies: tuple[Deny, ...] = base.denies
        self._grant = base.grant

    def descend(self, steps: tuple[str, ...]) -> "NodeEditor":
        """Open the node at `steps` below this one, made where there is none."""
        node = self
        for step in steps:
            opened = node._opened.get(step)
            if opened is None:
                opened = NodeEditor(node._base.children.get(step, EMPTY_NODE))
                node._opened[step] = opened
            node = opened
        return node

    def put(self, held: Held) -> None:
        """Add or replace a role or eligible assignment."""
        self._open_held()[held.name] = held

    def remove(self, name: str) -> None:
        """Remove the role or eligible assignment of this name, if there is one."""
        self._open_held().pop(name, None)

    def put_deny(self, deny: DenyAssignment) -> None:
        """Add or replace a deny assignment."""
        self.remove_deny(deny.name)
        self._denies = (*self._denies, Deny(deny))

    def remove_deny(self, name: str) -> None:
        """Remove the deny assignment of this name, if there is one."""
        self._denies = tuple(deny for deny in self._denies if deny.assignment.name != name)

    def set_grant(self, grant: SharingGrant | None) -> None:
        """Record what the gallery at this scope has opened to others."""
        self._grant = grant

    def sweep(self, before: int) -> Iterator[SharingGrant]:
        """Remove what was written before a revision, here and below; yield the grants removed.

        Nothing happens unless the iterator is exhausted.
        """
        kept = {name: one for name, one in self._open_held().items() if one.revision >= before}
        self._held = kept
        self._denies = tuple(deny for deny in self._denies if deny.assignment.revision >= before)
        if self._grant is not None and self._grant.revision < before:
            yield self._grant
            self._grant = None
        for step in self._base.children:
            self.descend((step,))
        for child in self._opened.values():
            yield from child.sweep(before)

    def freeze(self, holders: HoldersEditor, denied: HoldersEditor) -> ScopeNode:
        """Answer the successor, with no empty node left in it.

        `holders` and `denied` are told who holds something here now and who is denied it.
        """
        base = self._base
        children = MapEditor(base.children)
        for step, opened in self._opened.items():
            frozen = opened.freeze(holders, denied)
            if frozen.is_empty():
                children.pop(step)
            else:
                children.set(step, frozen)
        held = base.held if self._held is None else tuple(self._held.values())
        if held is not base.held and (held or base.held):
            scope = (held or base.held)[0].scope
            holders.change(scope, *((one.principal for one in some) for some in (base.held, held)))
        if self._denies is not base.denies and (self._denies or base.denies):
            scope = (self._denies or base.denies)[0].assignment.scope
            denied.change(scope, _denied(base.denies), _denied(self._denies))
        return ScopeNode(children.freeze(), held, self._denies, self._grant)

    def _open_held(self) -> dict[str, Held]:
        if self._held is None:
            self._held = {one.name: one for one in self._base.held}
        return self._held
