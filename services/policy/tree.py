"""The tree of scopes that hold something, and the editor that makes its successor.

A node for a scope exists where the scope, or one below it, holds an assignment, a deny
or a grant. The children of the root are the shards: one per subscription and one per
tenant, reached without copying the others.
"""

from collections.abc import Iterator
from typing import Final, TypeVar

from services.policy.matching import PermissionMatcher
from services.policy.model import (
    DenyAssignment,
    EligibleAssignment,
    RoleAssignment,
    SharingGrant,
)
from services.policy.persistent_map import MapEditor, PersistentMap

Held = TypeVar("Held", bound=RoleAssignment | EligibleAssignment)


class Deny:
    """A deny assignment with its permissions ready to be asked."""

    __slots__ = ("assignment", "matcher")

    def __init__(self, assignment: DenyAssignment) -> None:
        self.assignment = assignment
        self.matcher = PermissionMatcher(assignment.permissions)


class ScopeNode:
    """What one scope holds, assignments by principal, and the scopes below it."""

    __slots__ = ("assignments", "children", "denies", "eligible", "grant")

    def __init__(
        self,
        children: "PersistentMap[ScopeNode]",
        assignments: PersistentMap[tuple[RoleAssignment, ...]],
        *,
        eligible: PersistentMap[tuple[EligibleAssignment, ...]],
        denies: tuple[Deny, ...],
        grant: SharingGrant | None,
    ) -> None:
        self.children = children
        self.assignments = assignments
        self.eligible = eligible
        self.denies = denies
        self.grant = grant

    def is_empty(self) -> bool:
        """Whether nothing is held here or below."""
        return not (
            len(self.children)
            or len(self.assignments)
            or len(self.eligible)
            or self.denies
            or self.grant
        )


NO_CHILDREN: Final[PersistentMap[ScopeNode]] = PersistentMap()
NO_ASSIGNMENTS: Final[PersistentMap[tuple[RoleAssignment, ...]]] = PersistentMap()
NO_ELIGIBLE: Final[PersistentMap[tuple[EligibleAssignment, ...]]] = PersistentMap()
EMPTY_NODE: Final = ScopeNode(
    NO_CHILDREN, NO_ASSIGNMENTS, eligible=NO_ELIGIBLE, denies=(), grant=None
)


class NodeEditor:
    """A successor of one node in the making; only what is opened is copied."""

    __slots__ = ("_assignments", "_base", "_denies", "_eligible", "_grant", "_opened")

    def __init__(self, base: ScopeNode) -> None:
        self._base = base
        self._opened: dict[str, NodeEditor] = {}
        self._assignments: MapEditor[tuple[RoleAssignment, ...]] | None = None
        self._eligible: MapEditor[tuple[EligibleAssignment, ...]] | None = None
        self._denies: tuple[Deny, ...] = base.denies
        self._grant = base.grant

    def descend(self, steps: tuple[str, ...]) -> "NodeEditor":
        """Open the node at `steps` below this one, made where there is none."""
        node = self
        for step in steps:
            opened = node._opened.get(step)
            if opened is None:
                opened = NodeEditor(node._base.children.get(step) or EMPTY_NODE)
                node._opened[step] = opened
            node = opened
        return node

    def put_assignment(self, assignment: RoleAssignment) -> None:
        """Add or replace; the principal of an assignment never changes (case 78)."""
        _put(self._open_assignments(), assignment)

    def remove_assignment(self, name: str) -> None:
        """Remove the assignment of this name, if there is one."""
        _remove(self._open_assignments(), name)

    def put_eligible(self, assignment: EligibleAssignment) -> None:
        """Add or replace, activations included."""
        _put(self._open_eligible(), assignment)

    def remove_eligible(self, name: str) -> None:
        """Remove the eligible assignment of this name, if there is one."""
        _remove(self._open_eligible(), name)

    def put_deny(self, deny: DenyAssignment) -> None:
        """Add or replace."""
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
        _sweep(self._open_assignments(), before)
        _sweep(self._open_eligible(), before)
        self._denies = tuple(deny for deny in self._denies if deny.assignment.revision >= before)
        if self._grant is not None and self._grant.revision < before:
            yield self._grant
            self._grant = None
        for step in self._base.children:
            self.descend((step,))
        for child in self._opened.values():
            yield from child.sweep(before)

    def freeze(self) -> ScopeNode:
        """Answer the successor, with no empty node left in it."""
        children = self._base.children
        if self._opened:
            editor = children.edit()
            for step, opened in self._opened.items():
                frozen = opened.freeze()
                if not frozen.is_empty():
                    editor.set(step, frozen)
                else:
                    editor.pop(step)
            children = editor.freeze()
        return ScopeNode(
            children,
            self._base.assignments if self._assignments is None else self._assignments.freeze(),
            eligible=self._base.eligible if self._eligible is None else self._eligible.freeze(),
            denies=self._denies,
            grant=self._grant,
        )

    def _open_assignments(self) -> MapEditor[tuple[RoleAssignment, ...]]:
        if self._assignments is None:
            self._assignments = self._base.assignments.edit()
        return self._assignments

    def _open_eligible(self) -> MapEditor[tuple[EligibleAssignment, ...]]:
        if self._eligible is None:
            self._eligible = self._base.eligible.edit()
        return self._eligible


def _put(editor: MapEditor[tuple[Held, ...]], held: Held) -> None:
    before = editor.get(held.principal) or ()
    kept = tuple(one for one in before if one.name != held.name)
    editor.set(held.principal, (*kept, held))


def _remove(editor: MapEditor[tuple[Held, ...]], name: str) -> None:
    # The name does not hold the principal. A scope has few holders, removals are rare.
    for principal in list(editor):
        held = editor.get(principal) or ()
        if any(one.name == name for one in held):
            _keep(editor, principal, tuple(one for one in held if one.name != name))


def _sweep(editor: MapEditor[tuple[Held, ...]], before: int) -> None:
    for principal in list(editor):
        held = editor.get(principal) or ()
        _keep(editor, principal, tuple(one for one in held if one.revision >= before))


def _keep(editor: MapEditor[tuple[Held, ...]], principal: str, kept: tuple[Held, ...]) -> None:
    if not kept:
        editor.pop(principal)
    elif kept != editor.get(principal):
        editor.set(principal, kept)
