"""The facts of the policy, and the database that keeps them and the log of their changes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.records import (
    DenyAssignment,
    ManagementGroup,
    Member,
    Principal,
    Record,
    RoleAssignment,
    RoleDefinition,
    SharingGrant,
    Subscription,
    Tenant,
    Tombstone,
)
from services.kernel.filter import Comparison, Order
from services.kernel.paging import KeyValue
from services.policy import model
from services.policy.consistency import LogPosition
from services.policy.index import PolicyIndex

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page:
    """What one page of a list is asked for.

    `within` are columns and the key that each must have, `among` columns and the keys of which
    each must have one; `below` are scopes at or below one of which a record must be. `after`
    holds the key values of the record that the page follows, as `Facts.page` answered them.
    """

    limit: int
    within: tuple[tuple[str, str], ...] = ()
    among: tuple[tuple[str, tuple[str, ...]], ...] = ()
    below: tuple[str, ...] = ()
    filters: tuple[Comparison, ...] = ()
    orders: tuple[Order, ...] = ()
    after: tuple[KeyValue, ...] | None = None


class Facts(Protocol):
    """The facts of the policy, at one moment or in one transaction. All keys are folded."""

    def tenant(self, key: str) -> Tenant | None:
        """Answer a tenant."""

    def management_group(self, key: str) -> ManagementGroup | None:
        """Answer a management group."""

    def management_groups_in(self, key: str) -> Sequence[ManagementGroup]:
        """Answer the management groups that lie directly in one."""

    def subscription(self, key: str) -> Subscription | None:
        """Answer a subscription."""

    def subscriptions(self) -> Sequence[Subscription]:
        """Answer all subscriptions."""

    def subscriptions_in(self, key: str) -> Sequence[Subscription]:
        """Answer the subscriptions that lie directly in a management group."""

    def subscriptions_of(self, tenant_key: str) -> Sequence[Subscription]:
        """Answer the subscriptions of a tenant."""

    def principal(self, key: str) -> Principal | None:
        """Answer a user, group or service principal."""

    def principal_with_id(self, tenant_key: str, id: str) -> Principal | None:
        """Answer the principal of a tenant that has an id, whatever its kind."""

    def user_called(self, tenant_key: str, user_principal_name: str) -> Principal | None:
        """Answer the user with this principal name, in any letter case."""

    def principal_known_as(self, issuer: str, subject: str) -> Principal | None:
        """Answer the principal with this identity elsewhere."""

    def has_principals(self, tenant_key: str) -> bool:
        """Whether a tenant has a principal."""

    def was_used(self, identity: str) -> bool:
        """Whether the id was that of a tenant or principal that is gone."""

    def members(self, group_key: str) -> Sequence[Member]:
        """Answer the direct members of a group, in the order of their keys."""

    def is_member(self, group_key: str, member_key: str) -> bool:
        """Whether a principal is a direct member of a group."""

    def count_members(self, group_key: str) -> int:
        """Answer how many direct members a group has."""

    def groups_of(self, member_key: str) -> Sequence[str]:
        """Answer the keys of the groups that a principal is a direct member of."""

    def role_definition(self, key: str) -> RoleDefinition | None:
        """Answer a custom role."""

    def role_called(self, tenant_key: str, role_name: str) -> RoleDefinition | None:
        """Answer the custom role of a tenant with this name, in any letter case."""

    def role_definitions(self) -> Sequence[RoleDefinition]:
        """Answer all custom roles, in the order of their names."""

    def role_definitions_of(self, tenant_key: str) -> Sequence[RoleDefinition]:
        """Answer the custom roles of a tenant."""

    def count_role_definitions(self, tenant_key: str) -> int:
        """Answer how many custom roles a tenant has."""

    def role_assignment(self, key: str) -> RoleAssignment | None:
        """Answer a role assignment."""

    def same_assignment(
        self, scope_key: str, principal_key: str, role_key: str
    ) -> RoleAssignment | None:
        """Answer the assignment that joins these three."""

    def assignments_of(self, principal_key: str) -> Sequence[RoleAssignment]:
        """Answer the role assignments of a principal itself."""

    def assignments_at(self, scope_key: str) -> Sequence[RoleAssignment]:
        """Answer the role assignments at a scope itself."""

    def assignments_of_role(self, role_key: str) -> Sequence[RoleAssignment]:
        """Answer the assignments of a role, wherever they are."""

    def ended_before(self, moment: datetime, most: int) -> Sequence[RoleAssignment]:
        """Answer role assignments that ended at a moment or before, the first ones first."""

    def count_role_assignments(self, scope_key: str, *, below: bool) -> int:
        """Answer how many role and eligible assignments a scope has, if so asked with those below.

        The two share one limit.
        """

    def eligible_assignment(self, key: str) -> EligibleAssignment | None:
        """Answer an eligible assignment."""

    def same_eligible(
        self, scope_key: str, principal_key: str, role_key: str
    ) -> EligibleAssignment | None:
        """Answer the eligible assignment that joins these three."""

    def eligible_of(self, principal_key: str) -> Sequence[EligibleAssignment]:
        """Answer the eligible assignments of a principal itself."""

    def eligible_of_role(self, role_key: str) -> Sequence[EligibleAssignment]:
        """Answer the eligible assignments of a role, wherever they are."""

    def deny_assignment(self, key: str) -> DenyAssignment | None:
        """Answer a deny assignment."""

    def denies_naming(self, principal_key: str) -> Sequence[DenyAssignment]:
        """Answer the deny assignments that name a principal, on either side."""

    def count_deny_assignments(self, scope_key: str, *, below: bool) -> int:
        """Answer how many deny assignments a scope has, with those below it if so asked."""

    def sharing_grant(self, gallery_key: str) -> SharingGrant | None:
        """Answer what a gallery is shared with."""

    def tombstone(self, uid: str) -> Tombstone | None:
        """Answer the end of a resource."""

    def at_or_below(self, scope_key: str) -> Sequence[Record]:
        """Answer the assignments and grants at a scope and below it."""

    def spelled(self, keys: Collection[str]) -> Mapping[str, str]:
        """Answer how names and scopes were spelled, of those keys that are known here."""

    def public_names(self, galleries: Collection[str]) -> Mapping[str, str]:
        """Answer the ids of the views of galleries as they were spelled, by the key of each."""

    def page(self, of: type[R], page: Page) -> Sequence[tuple[R, tuple[KeyValue, ...]]]:
        """Answer records with the key values that a next page follows after."""


class Unit(Protocol):
    """One transaction of the policy log in the making, with the head of the log locked."""

    @property
    def facts(self) -> Facts:
        """The facts as this transaction sees them, its own writes included."""

    @property
    def index(self) -> PolicyIndex:
        """The compiled policy as of the head, without what this transaction writes."""

    @property
    def revision(self) -> int:
        """The revision that this transaction will have, if it writes anything."""

    @property
    def now(self) -> datetime:
        """The time of the transaction."""

    def put(self, record: Record) -> None:
        """Write a record."""

    def remove(self, record: Record) -> None:
        """Delete a record."""

    def join(self, group: str, members: Sequence[Principal]) -> None:
        """Add direct members to a group."""

    def leave(self, group: str, members: Sequence[str]) -> None:
        """Remove direct members from a group."""

    def use_up(self, identity: str) -> None:
        """Never give an id again."""

    def bury(self, tombstone: Tombstone) -> None:
        """Record the end of a resource; `at_or_below` its scope is removed by the caller."""

    def advance(self) -> Sequence[model.Change]:
        """End one of several writes of the transaction: `index` then is the policy after it.

        Answers what the write means to decisions.
        """


@dataclass(frozen=True, slots=True)
class Command:
    """Which call writes, for the request log and the audit log.

    `caller_id` tells callers apart; `principal` is the caller's name, empty for a service or
    the installation itself. `digest` is that of the request, and is compared when the request
    id comes again. `details` hold values of JSON for the audit log.
    """

    method: str
    resource: str
    caller_id: str = ""
    principal: str = ""
    workload: str = "authz"
    action: str = ""
    request_id: str = ""
    digest: bytes = b""
    trace_parent: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """The reply of a write, and the position at or before which it took effect."""

    reply: bytes
    position: LogPosition


class PolicyStore(Protocol):
    """The database of the policy."""

    def read(self, work: Callable[[Facts], T]) -> T:
        """Read facts; each statement sees the newest commit."""

    def snapshot(self, work: Callable[[Facts], T]) -> T:
        """Read facts that all are of one moment."""

    def write(
        self,
        command: Command,
        work: Callable[[Unit], T],
        reply: Callable[[T], bytes],
        *,
        validate_only: bool = False,
    ) -> Written:
        """Do a write once: changes, log, audit and reply are committed together.

        With `validate_only` everything is done and nothing kept.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED.
        """

    def position(self) -> LogPosition:
        """Answer the newest position of the log, read now."""

    def token(self, position: LogPosition) -> str:
        """Answer the consistency token of a position."""
