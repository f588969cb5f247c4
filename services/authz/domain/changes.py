"""What a transaction of the policy log consists of, and what it means to a decision."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from services.authz.domain import records
from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.records import Record, SubscriptionState
from services.kernel.names import key
from services.policy import model
from services.policy.model import EVERYONE


@dataclass(frozen=True, slots=True)
class Put:
    """A record is so, whether or not there was one before."""

    record: Record


@dataclass(frozen=True, slots=True)
class Gone:
    """A record is there no longer."""

    record: Record


@dataclass(frozen=True, slots=True)
class Joined:
    """Principals are members of a group."""

    group: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Principals are direct members of a group no longer."""

    group: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Buried:
    """A resource is gone, with everything assigned or granted at it or below."""

    scope: str
    uid: str


Change = Put | Gone | Joined | Left | Buried


def entities(change: Change, revision: int) -> Iterator[model.Change]:
    """Answer what a change does to the compiled policy, as written at `revision`."""
    match change:
        case Put():
            yield entity(change.record, revision)
        case Gone():
            yield _removed(change.record)
        case Joined():
            for member in change.members:
                yield model.Membership(key(change.group), key(member))
        case Left():
            for member in change.members:
                yield model.MemberRemoved(key(change.group), key(member))
        case Buried():
            yield model.ScopeTombstone(key(change.scope), change.uid, revision)
        case _:
            assert_never(change)


def entity(record: Record, revision: int) -> model.Entity:
    """Answer what a decision needs of a record."""
    match record:
        case records.Tenant():
            return model.Tenant(record.key, record.uid, revision)
        case records.ManagementGroup():
            parent = key(record.parent) if record.parent else None
            return model.ManagementGroup(record.key, key(record.tenant), parent, revision)
        case records.Subscription():
            return model.Subscription(
                record.key,
                key(record.tenant),
                key(record.parent),
                enabled=record.state is SubscriptionState.ENABLED,
                uid=record.uid,
                revision=revision,
            )
        case records.Principal():
            external = (
                model.ExternalIdentity(record.issuer, record.subject) if record.issuer else None
            )
            return model.Principal(
                record.key, record.kind, record.enabled, external=external, revision=revision
            )
        case records.RoleDefinition():
            return model.RoleDefinition(
                id=record.key.rpartition("/")[2],
                display_name=record.role_name,
                permissions=record.permissions,
                assignable_scopes=tuple(map(key, record.assignable_scopes)),
                revision=revision,
            )
        case _:
            return _at_scope(record, revision)


def _at_scope(
    record: records.RoleAssignment
    | records.DenyAssignment
    | EligibleAssignment
    | records.SharingGrant,
    revision: int,
) -> model.Entity:
    match record:
        case EligibleAssignment():
            return _eligible(record, revision)
        case records.RoleAssignment():
            return model.RoleAssignment(
                name=record.key,
                scope=record.scope_key,
                principal=key(record.principal),
                role=key(record.role_definition).rpartition("/")[2],
                start=record.start_time,
                end=record.end_time,
                condition=record.condition,
                revision=revision,
            )
        case records.DenyAssignment():
            named = frozenset(map(key, record.principals))
            return model.DenyAssignment(
                name=record.key,
                scope=record.scope_key,
                principals=named | {EVERYONE} if record.everyone else named,
                permissions=record.permissions,
                exclude_principals=frozenset(map(key, record.exclude_principals)),
                do_not_apply_to_child_scopes=record.do_not_apply_to_child_scopes,
                revision=revision,
            )
        case records.SharingGrant():
            blocked = (*record.blocked_subscriptions, *record.blocked_tenants)
            return model.SharingGrant(
                gallery=record.key,
                gallery_uid=record.gallery_uid,
                mode=record.mode,
                shared_id=key(record.shared_id),
                public_name=key(record.public_name),
                community_enabled=record.community_enabled,
                subscriptions=frozenset(map(key, record.subscriptions)),
                tenants=frozenset(map(key, record.tenants)),
                blocked=frozenset(map(key, blocked)),
                allow_copy=record.allow_copy,
                revision=revision,
            )
        case _:
            assert_never(record)


def _eligible(record: EligibleAssignment, revision: int) -> model.EligibleAssignment:
    return model.EligibleAssignment(
        name=record.key,
        scope=record.scope_key,
        principal=record.principal_key,
        role=key(record.role_definition).rpartition("/")[2],
        start=record.start_time,
        end=record.end_time,
        condition=record.condition,
        activations=tuple(
            model.Activation(one.principal_key, one.start_time, one.end_time)
            for one in record.activations
        ),
        revision=revision,
    )


def _removed(record: Record) -> model.Removed:
    match record:
        case EligibleAssignment():
            return model.Removed(model.Kind.ELIGIBLE_ASSIGNMENT, record.key)
        case records.Tenant():
            return model.Removed(model.Kind.TENANT, record.key)
        case records.ManagementGroup():
            return model.Removed(model.Kind.MANAGEMENT_GROUP, record.key)
        case records.Principal():
            return model.Removed(model.Kind.PRINCIPAL, record.key)
        case records.RoleDefinition():
            return model.Removed(model.Kind.ROLE_DEFINITION, record.key.rpartition("/")[2])
        case records.RoleAssignment():
            return model.Removed(model.Kind.ROLE_ASSIGNMENT, record.key)
        case records.DenyAssignment():
            return model.Removed(model.Kind.DENY_ASSIGNMENT, record.key)
        case records.SharingGrant():
            return model.Removed(model.Kind.SHARING_GRANT, record.key)
        case records.Subscription():
            raise ValueError("a subscription is disabled, never deleted")
        case _:
            assert_never(record)
