"""The compiled policy: one immutable root per revision (authorization.md section 3).

A root is replaced, never changed: whoever took a reference decides everything at its
revision, without a lock, while successors are built and published.
"""

import gc
import sys
from collections.abc import Iterable, Mapping
from typing import Final, assert_never

from services.kernel.names import parent
from services.policy.decision import Decision
from services.policy.directory import EMPTY_DIRECTORY, Directory, DirectoryEditor
from services.policy.holders import NOBODY, HoldersEditor, Scopes
from services.policy.model import (
    Change,
    DenyAssignment,
    EligibleAssignment,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Membership,
    Plane,
    Principal,
    Removed,
    RoleAssignment,
    RoleDefinition,
    ScopeTombstone,
    SharingGrant,
    Subscription,
    Tenant,
    Transaction,
)
from services.policy.scopes import Scope
from services.policy.sharing import NOTHING_SHARED, SharingEditor, SharingIndex
from services.policy.tree import EMPTY_NODE, NodeEditor, ScopeNode

_EVERYTHING: Final = sys.maxsize
#: How many decisions a root remembers.
_REMEMBERED: Final = 16_384


class PolicyIndex:
    """Everything that decides access, as of one revision of one epoch of the log."""

    __slots__ = (
        "_decisions",
        "_levels",
        "denied",
        "directory",
        "epoch",
        "holders",
        "lists",
        "revision",
        "sharing",
        "tree",
    )

    def __init__(
        self,
        epoch: int,
        revision: int,
        tree: ScopeNode,
        *,
        directory: Directory,
        sharing: SharingIndex,
        holders: Mapping[str, Scopes] = NOBODY,
        denied: Mapping[str, Scopes] = NOBODY,
    ) -> None:
        """`holders` and `denied` say of each principal which scopes name it."""
        self.epoch = epoch
        self.revision = revision
        self.tree = tree
        self.directory = directory
        self.sharing = sharing
        self.holders = holders
        self.denied = denied
        # There are never more levels than management groups, twice, and those of no group.
        self._levels: dict[tuple[str | None, bool], list[ScopeNode]] = {}
        self._decisions: dict[tuple[str, str, Plane, str], Decision] = {}
        #: What lists were answered at this root, for `accessible` to remember.
        self.lists: dict[tuple[str, str, Plane, str], object] = {}

    def apply(self, transaction: Transaction) -> "PolicyIndex":
        """Answer the root after a transaction; this one stays as it is.

        Raises:
            ValueError: the transaction is not newer than this root.
        """
        if transaction.revision <= self.revision:
            raise ValueError(f"revision {transaction.revision} is not newer than {self.revision}")
        editor = IndexEditor(self)
        editor.apply(transaction.changes, revision=transaction.revision)
        return editor.freeze(transaction.revision)

    def chain(self, scope: Scope) -> list[ScopeNode]:
        """Answer the nodes on the scope's chain that hold something, the nearest first."""
        nodes: list[ScopeNode] = []
        node = self.tree
        for step in scope.steps:
            child = node.children.get(step)
            if child is None:
                break
            node = child
            nodes.append(node)
        nodes.reverse()
        nodes += self._above(scope)
        nodes.append(self.tree)
        return nodes

    def remembered(self, question: tuple[str, str, Plane, str]) -> Decision | None:
        """Answer what was decided about (caller, action, plane, scope) at this root before."""
        return self._decisions.get(question)

    def remember(self, question: tuple[str, str, Plane, str], decision: Decision) -> None:
        """Keep a decision that depends on nothing but this root, as long as this root."""
        if len(self._decisions) >= _REMEMBERED:
            self._decisions.clear()
        self._decisions[question] = decision

    def view_grant(self, view: str) -> SharingGrant | None:
        """Answer the grant behind the name of a view, where it covers the view's consumer.

        It says what the view shows, not who may see it: that is demanded at the view's name.
        """
        found = Scope.parse(view).view
        consumer = None if found is None else self.directory.subscriptions.get(found.consumer)
        if found is None or consumer is None:
            return None
        resolved = self.sharing.resolve(found, consumer)
        return None if resolved is None else resolved[0]

    def _above(self, scope: Scope) -> list[ScopeNode]:
        # All subscriptions of a management group have the same above them.
        key = scope.subscription
        if key is None:
            start = scope.management_group
        else:
            subscription = self.directory.subscriptions.get(key)
            start = None if subscription is None else subscription.parent
        level = (start, key is None)
        known = self._levels.get(level)
        if known is None:
            found = (self.find(Scope.parse(key)) for key in self.directory.above(scope))
            known = [node for node in found if node is not None]
            self._levels[level] = known
        return known

    def find(self, scope: Scope) -> ScopeNode | None:
        """Answer the node of one scope, None where nothing is held at or below it."""
        node = self.tree
        for step in scope.steps:
            child = node.children.get(step)
            if child is None:
                return None
            node = child
        return node


def empty_index(epoch: int = 0, revision: int = 0) -> PolicyIndex:
    """Answer a root that grants nothing."""
    return PolicyIndex(
        epoch, revision, EMPTY_NODE, directory=EMPTY_DIRECTORY, sharing=NOTHING_SHARED
    )


def load_index(epoch: int, revision: int, changes: Iterable[Change]) -> PolicyIndex:
    """Build a root from a snapshot, and keep the garbage collector away from it.

    A full collection over a million assignments stops the process for most of a second
    (authorization.md 0.7); they live as long as the process, so they are frozen instead.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        editor = IndexEditor(empty_index(epoch))
        editor.apply(changes, revision=revision)
        index = editor.freeze(revision)
        del editor
        gc.unfreeze()
        gc.collect()
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
    return index


class IndexEditor:
    """A successor of a root in the making: a transaction's, or a whole snapshot's."""

    def __init__(self, base: PolicyIndex) -> None:
        self._epoch: Final = base.epoch
        self._tree = NodeEditor(base.tree)
        self._directory = DirectoryEditor(base.directory)
        self._sharing = SharingEditor(base.sharing)
        self._holders = HoldersEditor(base.holders)
        self._denied = HoldersEditor(base.denied)

    def apply(self, changes: Iterable[Change], *, revision: int) -> None:
        """Take in changes in their order, as written at `revision`."""
        for change in changes:
            self._apply(change, revision)

    def freeze(self, revision: int) -> PolicyIndex:
        """Answer the finished root."""
        tree = self._tree.freeze(self._holders, self._denied)
        return PolicyIndex(
            self._epoch,
            revision,
            tree,
            directory=self._directory.freeze(),
            sharing=self._sharing.freeze(),
            holders=self._holders.freeze(),
            denied=self._denied.freeze(),
        )

    def _apply(self, change: Change, revision: int) -> None:
        match change:
            case ScopeTombstone():
                self._bury(change, revision)
            case Removed():
                self._remove(change)
            case MemberRemoved():
                self._directory.remove_member(change.group, change.member)
            case RoleAssignment() | DenyAssignment() | EligibleAssignment() | SharingGrant():
                self._put_at_scope(change)
            case _:
                self._put_into_directory(change)

    def _put_at_scope(
        self, change: RoleAssignment | DenyAssignment | EligibleAssignment | SharingGrant
    ) -> None:
        match change:
            case RoleAssignment() | EligibleAssignment():
                self._node(change.scope).put(change)
            case DenyAssignment():
                self._node(change.scope).put_deny(change)
            case SharingGrant():
                self._node(change.gallery).set_grant(change)
                self._sharing.put(change)
            case _:
                assert_never(change)

    def _put_into_directory(
        self,
        change: RoleDefinition | Principal | Membership | Tenant | ManagementGroup | Subscription,
    ) -> None:
        match change:
            case RoleDefinition():
                self._directory.put_role(change)
            case Principal():
                self._directory.put_principal(change)
            case Membership():
                self._directory.add_member(change)
            case Tenant():
                self._directory.put_tenant(change)
            case ManagementGroup():
                self._directory.put_management_group(change)
            case Subscription():
                self._directory.put_subscription(change)
            case _:
                assert_never(change)

    def _remove(self, change: Removed) -> None:
        name = change.name
        match change.kind:
            case Kind.ROLE_ASSIGNMENT | Kind.ELIGIBLE_ASSIGNMENT:
                self._node(parent(name)).remove(name)
            case Kind.DENY_ASSIGNMENT:
                self._node(parent(name)).remove_deny(name)
            case Kind.SHARING_GRANT:
                self._node(name).set_grant(None)
                self._sharing.remove(name)
            case Kind.ROLE_DEFINITION:
                self._directory.remove_role(name)
            case Kind.PRINCIPAL:
                self._directory.remove_principal(name)
            case Kind.MANAGEMENT_GROUP:
                self._directory.remove_management_group(name)
                self._clear(name, _EVERYTHING)
            case Kind.TENANT:
                self._directory.remove_tenant(name)
                self._clear(name, _EVERYTHING)
            case _:
                assert_never(change.kind)

    def _bury(self, tombstone: ScopeTombstone, revision: int) -> None:
        # New, it takes everything that stands before it in the log, its own transaction
        # included; repeated, only what the first one took.
        before = tombstone.revision
        if tombstone.revision >= revision:
            before += 1
        self._clear(tombstone.scope, before)

    def _clear(self, scope: str, before: int) -> None:
        for grant in self._node(scope).sweep(before):
            self._sharing.remove(grant.gallery)

    def _node(self, scope: str) -> NodeEditor:
        return self._tree.descend(Scope.parse(scope).steps)
