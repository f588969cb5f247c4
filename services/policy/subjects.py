"""Who may do an action on a resource, and the grant that lets them (authorization.md 2).

Grants are gathered with everybody they reach, in order, before anybody is judged: a page costs
the judging of what it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.policy.conditions import NO_ATTRIBUTES, Attributes
from services.policy.decision import Reason
from services.policy.evaluation import COVERED, is_view_read
from services.policy.index import PolicyIndex
from services.policy.memberships import inwards, ways_to_groups
from services.policy.model import EligibleAssignment, Plane, PrincipalKind, RoleAssignment
from services.policy.scopes import Scope
from services.policy.search import Search
from services.policy.tree import Held, ScopeNode


@dataclass(frozen=True, slots=True)
class Access:
    """A subject and a grant that lets it in; all are keys.

    `via` are the groups between, the one that holds the grant first.
    """

    principal: str
    held: str
    via: tuple[str, ...] = ()
    is_eligible: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """What tells it apart, and what it is ordered by."""
        return self.principal, self.held


@dataclass(frozen=True, slots=True)
class Sharing:
    """Everybody who holds the action in a subscription is let in by a gallery's grant."""

    subscription: str
    reason: Reason


class Subjects:
    """One question about who may do something, answered subject by subject."""

    def __init__(
        self,
        index: PolicyIndex,
        action: str,
        scope: Scope,
        *,
        now: datetime,
        plane: Plane = Plane.CONTROL,
        attributes: Attributes = NO_ATTRIBUTES,
        expand: bool = False,
    ) -> None:
        """`action` is folded; with `expand` a group is replaced by who is in it."""
        self._index: Final = index
        self._action: Final = action
        self._scope: Final = scope
        self._now: Final = now
        self._plane: Final = plane
        self._attributes: Final = attributes
        self._expand: Final = expand
        self._chain: Final = index.chain(scope)
        self._searches: dict[str, Search] = {}

    def sharing(self) -> Sharing | None:
        """Answer whom the sharing of a view lets in, None for anything but an open view."""
        view = self._scope.view
        if view is None or not is_view_read(view, self._action):
            return None
        consumer = self._index.directory.subscriptions.get(view.consumer)
        found = None if consumer is None else self._index.sharing.resolve(view, consumer)
        return None if found is None else Sharing(view.consumer, COVERED[found[1]])

    def entries(self, after: tuple[str, str] | None = None) -> Iterator[Access]:
        """Answer who is let in by an assignment, after a place, in the order of their names.

        Nobody is by an assignment alone where the resource is a view.
        """
        if self._scope.view is not None:
            return
        held = {one.name: one for node in self._chain for one in self._granting(node)}
        reached = (access for one in held.values() for access in self._reached(one))
        for access in sorted(reached, key=lambda one: one.place):
            if after is not None and access.place <= after:
                continue
            search = self._search(access.principal)
            if search.outcome(held[access.held]) is not Reason.ROLE_ASSIGNMENT:
                continue
            if search.denial(self._chain, self._scope.key) is None:
                yield access

    def _granting(self, node: ScopeNode) -> Iterator[Held]:
        """Answer what is held at a node whose role has the action."""
        for one in node.held:
            role = self._index.directory.roles.get(one.role)
            if role is not None and role.permits(self._action, self._plane):
                yield one

    def _reached(self, held: Held) -> Iterator[Access]:
        """Answer whom an assignment may let in."""
        directory = self._index.directory
        if isinstance(held, EligibleAssignment):
            # Each of a group activates for themselves alone.
            for principal in {one.principal for one in held.activations}:
                if held.principal in directory.identities(principal):
                    outwards = ways_to_groups(directory, principal).get(held.principal)
                    via = () if outwards is None else (held.principal, *reversed(outwards))
                    yield Access(principal, held.name, via, is_eligible=True)
            return
        if held.principal not in directory.identities(held.principal):
            return
        yield from self._members(held)

    def _members(self, held: RoleAssignment) -> Iterator[Access]:
        directory = self._index.directory
        if not self._expand or directory.principals[held.principal].kind is not PrincipalKind.GROUP:
            yield Access(held.principal, held.name)
            return
        for member, via in inwards(directory, held.principal).items():
            if directory.principals[member].kind is not PrincipalKind.GROUP:
                yield Access(member, held.name, via)

    def _search(self, principal: str) -> Search:
        found = self._searches.get(principal)
        if found is None:
            found = self._searches[principal] = Search(
                self._index,
                principal,
                self._action,
                plane=self._plane,
                now=self._now,
                attributes=self._attributes,
            )
        return found
