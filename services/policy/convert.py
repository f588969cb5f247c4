"""Reads the feed's messages into the model (protos/stoa/authz/v1/policy_change.proto).

Names become keys on the way in. A change that is not known is refused: a replica that
passed it over would decide by something that is no longer the policy.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import permission_pb2, policy_change_pb2, sharing_grant_pb2, subscription_pb2
from stoa.authz.v1 import policy_feed_service_pb2 as feed_pb2

from services.kernel.names import key, parent
from services.policy.model import (
    EVERYONE,
    Activation,
    Change,
    DenyAssignment,
    EligibleAssignment,
    ExternalIdentity,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Membership,
    Permissions,
    Principal,
    PrincipalKind,
    Removed,
    RoleAssignment,
    RoleDefinition,
    ScopeTombstone,
    SharingGrant,
    SharingMode,
    Subscription,
    Tenant,
    Transaction,
)


class UnknownChange(Exception):
    """A change of a kind, or in a state, that this release does not know."""


_DELETED: Final = {
    "delete_role_assignment": Kind.ROLE_ASSIGNMENT,
    "delete_deny_assignment": Kind.DENY_ASSIGNMENT,
    "delete_eligible_assignment": Kind.ELIGIBLE_ASSIGNMENT,
    "delete_principal": Kind.PRINCIPAL,
    "delete_management_group": Kind.MANAGEMENT_GROUP,
    "delete_tenant": Kind.TENANT,
    "delete_sharing_grant": Kind.SHARING_GRANT,
}
_PRINCIPALS: Final = {
    "users": PrincipalKind.USER,
    "groups": PrincipalKind.GROUP,
    "serviceprincipals": PrincipalKind.SERVICE_PRINCIPAL,
}
_MODES: Final = {
    sharing_grant_pb2.SHARING_MODE_UNSPECIFIED: SharingMode.PRIVATE,
    sharing_grant_pb2.SHARING_MODE_PRIVATE: SharingMode.PRIVATE,
    sharing_grant_pb2.SHARING_MODE_GROUPS: SharingMode.GROUPS,
    sharing_grant_pb2.SHARING_MODE_COMMUNITY: SharingMode.COMMUNITY,
}


class ChangeReader:
    """Reads changes of one revision; equal keys become one string in memory.

    A million assignments name some thousand principals and roles.
    """

    def __init__(self, revision: int) -> None:
        """`revision` is what the entities read are said to be written at."""
        self._revision: Final = revision
        self._known: Final[dict[str, str]] = {}

    def read(self, change: policy_change_pb2.PolicyChange) -> Sequence[Change]:
        """Answer what one change means.

        Raises:
            UnknownChange: it is of a kind that is not known here.
        """
        kind = change.WhichOneof("change")
        if kind is None:
            raise UnknownChange("a change of a kind that is not known")
        record = getattr(change, kind)
        if kind == "delete_role_definition":
            return (Removed(Kind.ROLE_DEFINITION, _id(self._key(record))),)
        if kind in _DELETED:
            return (Removed(_DELETED[kind], self._key(record)),)
        if kind == "put_group_membership":
            group = self._key(record.group)
            return [Membership(group, self._key(one)) for one in record.members]
        if kind == "delete_group_membership":
            group = self._key(record.group)
            return [MemberRemoved(group, self._key(one)) for one in record.members]
        reader = _READERS.get(kind)
        if reader is None:
            raise UnknownChange(f"a change of the kind {kind}")
        return (reader(self, record),)

    def role(self, record: policy_change_pb2.RoleDefinitionRecord) -> RoleDefinition:
        """Read a role; where it may be assigned is not part of the feed."""
        return RoleDefinition(
            _id(self._key(record.name)),
            record.role_name,
            tuple(map(_permissions, record.permissions)),
            built_in=record.built_in,
            revision=self._revision,
        )

    def role_assignment(self, record: policy_change_pb2.RoleAssignmentRecord) -> RoleAssignment:
        """Read a role assignment."""
        name = key(record.name)
        start, end = _window(record)
        return RoleAssignment(
            name,
            self._own(parent(name)),
            self._key(record.principal),
            self._own(_id(self._key(record.role_definition))),
            start=start,
            end=end,
            condition=record.condition,
            revision=self._revision,
        )

    def eligible(self, record: policy_change_pb2.EligibleAssignmentRecord) -> EligibleAssignment:
        """Read an eligible assignment with its activations."""
        name = key(record.name)
        start, end = _window(record)
        return EligibleAssignment(
            name,
            self._own(parent(name)),
            self._key(record.principal),
            self._own(_id(self._key(record.role_definition))),
            start=start,
            end=end,
            condition=record.condition,
            activations=tuple(
                Activation(self._key(one.principal), _when(one.start_time), _when(one.end_time))
                for one in record.activations
            ),
            revision=self._revision,
        )

    def deny(self, record: policy_change_pb2.DenyAssignmentRecord) -> DenyAssignment:
        """Read a deny assignment."""
        name = key(record.name)
        everyone = {EVERYONE} if record.everyone else set[str]()
        return DenyAssignment(
            name,
            self._own(parent(name)),
            frozenset(everyone.union(map(self._key, record.principals))),
            tuple(map(_permissions, record.permissions)),
            exclude_principals=frozenset(map(self._key, record.exclude_principals)),
            do_not_apply_to_child_scopes=record.do_not_apply_to_child_scopes,
            revision=self._revision,
        )

    def principal(self, record: policy_change_pb2.PrincipalRecord) -> Principal:
        """Read a principal.

        Raises:
            UnknownChange: it is neither a user nor a group nor a service principal.
        """
        name = self._key(record.name)
        kind = _PRINCIPALS.get(name.split("/")[-2] if "/" in name else "")
        if kind is None:
            raise UnknownChange(f"a principal with the name {name}")
        external = record.external_identity
        return Principal(
            name,
            kind,
            enabled=not record.disabled,
            external=ExternalIdentity(external.issuer, external.subject)
            if record.HasField("external_identity")
            else None,
            revision=self._revision,
        )

    def management_group(self, record: policy_change_pb2.ManagementGroupRecord) -> ManagementGroup:
        """Read a management group; its name says its tenant."""
        name = self._key(record.name)
        above = record.parent_management_group
        return ManagementGroup(
            name, parent(name), self._key(above) if above else None, self._revision
        )

    def subscription(self, record: policy_change_pb2.SubscriptionRecord) -> Subscription:
        """Read a subscription."""
        return Subscription(
            self._key(record.name),
            self._key(record.tenant),
            self._key(record.parent_management_group),
            enabled=record.state == subscription_pb2.Subscription.STATE_ENABLED,
            uid=record.uid,
            revision=self._revision,
        )

    def tenant(self, record: policy_change_pb2.TenantRecord) -> Tenant:
        """Read a tenant."""
        return Tenant(self._key(record.name), record.uid, self._revision)

    def grant(self, record: sharing_grant_pb2.SharingGrant) -> SharingGrant:
        """Read what a gallery is shared with.

        Raises:
            UnknownChange: its mode is not known here.
        """
        profile = record.profile
        mode = _MODES.get(profile.mode)
        if mode is None:
            raise UnknownChange(f"a sharing mode numbered {profile.mode}")
        blocked = (*record.blocked_subscriptions, *record.blocked_tenants)
        return SharingGrant(
            self._key(record.gallery),
            record.gallery_uid,
            mode,
            shared_id=key(profile.shared_id),
            public_name=key(profile.public_name),
            community_enabled=record.community_enabled,
            subscriptions=frozenset(map(self._key, record.subscriptions)),
            tenants=frozenset(map(self._key, record.tenants)),
            blocked=frozenset(map(self._key, blocked)),
            allow_copy=profile.allow_copy,
            revision=self._revision,
        )

    def tombstone(self, record: policy_change_pb2.ScopeTombstone) -> ScopeTombstone:
        """Read the end of a resource."""
        return ScopeTombstone(self._key(record.scope), record.resource_uid, self._revision)

    def _key(self, name: str) -> str:
        return self._own(key(name))

    def _own(self, text: str) -> str:
        return self._known.setdefault(text, text)


_READERS: Final[dict[str, Callable[..., Change]]] = {
    "put_role_definition": ChangeReader.role,
    "put_role_assignment": ChangeReader.role_assignment,
    "put_eligible_assignment": ChangeReader.eligible,
    "put_deny_assignment": ChangeReader.deny,
    "put_principal": ChangeReader.principal,
    "put_management_group": ChangeReader.management_group,
    "put_subscription": ChangeReader.subscription,
    "put_tenant": ChangeReader.tenant,
    "put_sharing_grant": ChangeReader.grant,
    "tombstone_scope": ChangeReader.tombstone,
}


def transaction_from_pb(message: feed_pb2.Transaction) -> Transaction:
    """Read a transaction.

    Raises:
        UnknownChange: one of its changes is not known here; none may be applied.
    """
    reader = ChangeReader(message.revision)
    changes = tuple(one for change in message.changes for one in reader.read(change))
    return Transaction(message.revision, changes)


def _permissions(message: permission_pb2.Permission) -> Permissions:
    return Permissions(
        tuple(message.actions),
        tuple(message.not_actions),
        tuple(message.data_actions),
        tuple(message.not_data_actions),
    )


def _id(name: str) -> str:
    return name.rpartition("/")[2]


def _window(
    record: policy_change_pb2.RoleAssignmentRecord | policy_change_pb2.EligibleAssignmentRecord,
) -> tuple[datetime | None, datetime | None]:
    return (
        _when(record.start_time) if record.HasField("start_time") else None,
        _when(record.end_time) if record.HasField("end_time") else None,
    )


def _when(time: Timestamp) -> datetime:
    return time.ToDatetime(tzinfo=UTC)
