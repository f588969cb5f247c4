"""The facts of the policy in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from services.authz.domain import records as d
from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.records import Record
from services.authz.ports.policy import Page
from services.authz.store import tables as t
from services.authz.store.lists import page_of
from services.authz.store.records import (
    BY_CLASS,
    DENY_ASSIGNMENTS,
    ELIGIBLE_ASSIGNMENTS,
    MANAGEMENT_GROUPS,
    PRINCIPALS,
    ROLE_ASSIGNMENTS,
    ROLE_DEFINITIONS,
    SHARING_GRANTS,
    SUBSCRIPTIONS,
    TENANTS,
    identity_of,
)
from services.authz.store.rows import Records, Rows
from services.authz.store.spelling import public_names, spelled
from services.kernel.db.listing import at_or_below
from services.kernel.names import key
from services.kernel.paging import KeyValue

R = TypeVar("R")


class SqlFacts:
    """The facts on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection

    def rows(self, records: Records[R]) -> Rows[R]:
        """Answer the rows of a class."""
        return Rows(self.connection, records)

    def tenant(self, key: str) -> d.Tenant | None:
        return self.rows(TENANTS).get(key)

    def management_group(self, key: str) -> d.ManagementGroup | None:
        return self.rows(MANAGEMENT_GROUPS).get(key)

    def management_groups_in(self, key: str) -> Sequence[d.ManagementGroup]:
        return self.rows(MANAGEMENT_GROUPS).all(t.MANAGEMENT_GROUPS.c.parent_key == key)

    def subscription(self, key: str) -> d.Subscription | None:
        return self.rows(SUBSCRIPTIONS).get(key)

    def subscriptions(self) -> Sequence[d.Subscription]:
        return self.rows(SUBSCRIPTIONS).all()

    def subscriptions_in(self, key: str) -> Sequence[d.Subscription]:
        return self.rows(SUBSCRIPTIONS).all(t.SUBSCRIPTIONS.c.parent_key == key)

    def subscriptions_of(self, tenant_key: str) -> Sequence[d.Subscription]:
        return self.rows(SUBSCRIPTIONS).all(t.SUBSCRIPTIONS.c.tenant_key == tenant_key)

    def principal(self, key: str) -> d.Principal | None:
        return self.rows(PRINCIPALS).get(key)

    def principal_with_id(self, tenant_key: str, id: str) -> d.Principal | None:
        return self.rows(PRINCIPALS).first(t.PRINCIPALS.c.identity == identity_of(tenant_key, id))

    def user_called(self, tenant_key: str, user_principal_name: str) -> d.Principal | None:
        c = t.PRINCIPALS.c
        return self.rows(PRINCIPALS).first(
            c.tenant_key == tenant_key, c.upn_key == key(user_principal_name)
        )

    def principal_known_as(self, issuer: str, subject: str) -> d.Principal | None:
        return self.rows(PRINCIPALS).first(t.PRINCIPALS.c.external_key == f"{issuer} {subject}")

    def has_principals(self, tenant_key: str) -> bool:
        return self.rows(PRINCIPALS).first(t.PRINCIPALS.c.tenant_key == tenant_key) is not None

    def was_used(self, identity: str) -> bool:
        statement = select(t.USED_IDS.c.identity).where(t.USED_IDS.c.identity == identity)
        return self.connection.execute(statement).first() is not None

    def members(self, group_key: str) -> Sequence[d.Member]:
        c = t.MEMBERSHIPS.c
        statement = select(c.group, c.member, c.create_time).where(c.group_key == group_key)
        return [d.Member(*row) for row in self.connection.execute(statement.order_by(c.member_key))]

    def is_member(self, group_key: str, member_key: str) -> bool:
        c = t.MEMBERSHIPS.c
        statement = select(c.group_key).where(c.group_key == group_key, c.member_key == member_key)
        return self.connection.execute(statement).first() is not None

    def count_members(self, group_key: str) -> int:
        c = t.MEMBERSHIPS.c
        statement = select(func.count()).where(c.group_key == group_key)
        return int(self.connection.execute(statement).scalar_one())

    def groups_of(self, member_key: str) -> Sequence[str]:
        c = t.MEMBERSHIPS.c
        statement = select(c.group_key).where(c.member_key == member_key).order_by(c.group_key)
        return list(self.connection.execute(statement).scalars())

    def role_definition(self, key: str) -> d.RoleDefinition | None:
        return self.rows(ROLE_DEFINITIONS).get(key)

    def role_called(self, tenant_key: str, role_name: str) -> d.RoleDefinition | None:
        c = t.ROLE_DEFINITIONS.c
        return self.rows(ROLE_DEFINITIONS).first(
            c.tenant_key == tenant_key, c.role_name_key == role_name.casefold()
        )

    def role_definitions(self) -> Sequence[d.RoleDefinition]:
        return self.rows(ROLE_DEFINITIONS).all()

    def role_definitions_of(self, tenant_key: str) -> Sequence[d.RoleDefinition]:
        return self.rows(ROLE_DEFINITIONS).all(t.ROLE_DEFINITIONS.c.tenant_key == tenant_key)

    def count_role_definitions(self, tenant_key: str) -> int:
        return self.rows(ROLE_DEFINITIONS).count(t.ROLE_DEFINITIONS.c.tenant_key == tenant_key)

    def role_assignment(self, key: str) -> d.RoleAssignment | None:
        return self.rows(ROLE_ASSIGNMENTS).get(key)

    def same_assignment(
        self, scope_key: str, principal_key: str, role_key: str
    ) -> d.RoleAssignment | None:
        c = t.ROLE_ASSIGNMENTS.c
        return self.rows(ROLE_ASSIGNMENTS).first(
            c.scope_key == scope_key, c.principal_key == principal_key, c.role_key == role_key
        )

    def assignments_of(self, principal_key: str) -> Sequence[d.RoleAssignment]:
        return self.rows(ROLE_ASSIGNMENTS).all(t.ROLE_ASSIGNMENTS.c.principal_key == principal_key)

    def assignments_at(self, scope_key: str) -> Sequence[d.RoleAssignment]:
        return self.rows(ROLE_ASSIGNMENTS).all(t.ROLE_ASSIGNMENTS.c.scope_key == scope_key)

    def assignments_of_role(self, role_key: str) -> Sequence[d.RoleAssignment]:
        return self.rows(ROLE_ASSIGNMENTS).all(t.ROLE_ASSIGNMENTS.c.role_key == role_key)

    def ended_before(self, moment: datetime, most: int) -> Sequence[d.RoleAssignment]:
        ended = t.ROLE_ASSIGNMENTS.c.end_time
        statement = ROLE_ASSIGNMENTS.select().where(ended.is_not(None), ended <= moment)
        rows = self.connection.execute(statement.order_by(ended).limit(most))
        return [ROLE_ASSIGNMENTS.record(row) for row in rows]

    def count_role_assignments(self, scope_key: str, *, below: bool) -> int:
        active = _at(t.ROLE_ASSIGNMENTS.c.scope_key, scope_key, below=below)
        eligible = _at(t.ELIGIBLE_ASSIGNMENTS.c.scope_key, scope_key, below=below)
        return self.rows(ROLE_ASSIGNMENTS).count(active) + self.rows(ELIGIBLE_ASSIGNMENTS).count(
            eligible
        )

    def eligible_assignment(self, key: str) -> EligibleAssignment | None:
        return self.rows(ELIGIBLE_ASSIGNMENTS).get(key)

    def same_eligible(
        self, scope_key: str, principal_key: str, role_key: str
    ) -> EligibleAssignment | None:
        c = t.ELIGIBLE_ASSIGNMENTS.c
        return self.rows(ELIGIBLE_ASSIGNMENTS).first(
            c.scope_key == scope_key, c.principal_key == principal_key, c.role_key == role_key
        )

    def eligible_of(self, principal_key: str) -> Sequence[EligibleAssignment]:
        column = t.ELIGIBLE_ASSIGNMENTS.c.principal_key
        return self.rows(ELIGIBLE_ASSIGNMENTS).all(column == principal_key)

    def eligible_of_role(self, role_key: str) -> Sequence[EligibleAssignment]:
        return self.rows(ELIGIBLE_ASSIGNMENTS).all(t.ELIGIBLE_ASSIGNMENTS.c.role_key == role_key)

    def deny_assignment(self, key: str) -> d.DenyAssignment | None:
        return self.rows(DENY_ASSIGNMENTS).get(key)

    def denies_naming(self, principal_key: str) -> Sequence[d.DenyAssignment]:
        c = t.DENY_PRINCIPALS.c
        named = select(c.deny_key).where(c.principal_key == principal_key)
        return self.rows(DENY_ASSIGNMENTS).all(t.DENY_ASSIGNMENTS.c.key.in_(named))

    def count_deny_assignments(self, scope_key: str, *, below: bool) -> int:
        return self.rows(DENY_ASSIGNMENTS).count(
            _at(t.DENY_ASSIGNMENTS.c.scope_key, scope_key, below=below)
        )

    def sharing_grant(self, gallery_key: str) -> d.SharingGrant | None:
        return self.rows(SHARING_GRANTS).get(gallery_key)

    def tombstone(self, uid: str) -> d.Tombstone | None:
        c = t.TOMBSTONES.c
        columns = (c.uid, c.scope, c.revision, c.removed_count, c.create_time)
        row = self.connection.execute(select(*columns).where(c.uid == uid)).first()
        return None if row is None else d.Tombstone(*row)

    def at_or_below(self, scope_key: str) -> Sequence[Record]:
        found: list[Record] = []
        found += self.rows(ROLE_ASSIGNMENTS).all(
            at_or_below(t.ROLE_ASSIGNMENTS.c.scope_key, scope_key)
        )
        found += self.rows(DENY_ASSIGNMENTS).all(
            at_or_below(t.DENY_ASSIGNMENTS.c.scope_key, scope_key)
        )
        found += self.rows(ELIGIBLE_ASSIGNMENTS).all(
            at_or_below(t.ELIGIBLE_ASSIGNMENTS.c.scope_key, scope_key)
        )
        found += self.rows(SHARING_GRANTS).all(at_or_below(t.SHARING_GRANTS.c.key, scope_key))
        return found

    def spelled(self, keys: Collection[str]) -> Mapping[str, str]:
        return spelled(self.connection, keys)

    def public_names(self, galleries: Collection[str]) -> Mapping[str, str]:
        return public_names(self.connection, galleries)

    def page(self, of: type[R], page: Page) -> Sequence[tuple[R, tuple[KeyValue, ...]]]:
        return page_of(self.connection, BY_CLASS[of], page)


def write_deny_principals(connection: Connection, deny: d.DenyAssignment) -> None:
    """Record which principals a deny assignment names."""
    forget_deny_principals(connection, deny.key)
    named = [(one, False) for one in deny.principals]
    named += [(one, True) for one in deny.exclude_principals]
    rows = [
        {"principal_key": key(name), "deny_key": deny.key, "excluded": excluded}
        for name, excluded in named
    ]
    if rows:
        connection.execute(insert(t.DENY_PRINCIPALS), rows)


def forget_deny_principals(connection: Connection, deny_key: str) -> None:
    """Forget which principals a deny assignment named."""
    table = t.DENY_PRINCIPALS
    connection.execute(delete(table).where(table.c.deny_key == deny_key))


def _at(column: ColumnElement[Any], scope_key: str, *, below: bool) -> ColumnElement[bool]:
    return at_or_below(column, scope_key) if below else column == scope_key
