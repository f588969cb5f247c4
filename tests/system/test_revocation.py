"""A role that is taken away is gone everywhere, and for changes at once."""

import sqlite3
from functools import partial

import grpc
import pytest
from stoa.authz.v1 import check_pb2, consistency_pb2, decision_pb2
from stoa.authz.v1.authorization_service_pb2_grpc import AuthorizationServiceStub
from stoa.catalog.v1 import gallery_pb2, gallery_service_pb2
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.replication.v1 import blob_pb2, blob_service_pb2
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub

from tests.system.errors import Refusal, refusal
from tests.system.installation import TENANT, Client, Installation, eventually
from tests.system.publishing import (
    HOME,
    grant,
    make_group,
    make_user,
    principal,
    revoke,
    unique,
)

pytestmark = pytest.mark.timeout(240)


def gallery(group: str) -> gallery_service_pb2.CreateGalleryRequest:
    return gallery_service_pb2.CreateGalleryRequest(
        parent=group, gallery_id=unique("golden"), gallery=gallery_pb2.Gallery(location=HOME)
    )


def blob(group: str) -> blob_service_pb2.CreateBlobRequest:
    return blob_service_pb2.CreateBlobRequest(
        parent=group, blob_id=unique("disk"), blob=blob_pb2.Blob(location=HOME)
    )


def refused(client: Client, group: str) -> tuple[Refusal, Refusal]:
    """A change in catalog and one in replication, which must both be refused."""
    return (
        refusal(client.of(GalleryServiceStub).CreateGallery, gallery(group)),
        refusal(client.of(BlobServiceStub).CreateBlob, blob(group)),
    )


def reported(installation: Installation) -> dict[str, list[tuple[int, int]]]:
    """Epoch and revision that each replica of the policy has reported to authz, by workload."""
    file = installation.layout.state("authz") / "authz.db"
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT workload, epoch, revision FROM replicas").fetchall()
    finally:
        connection.close()
    found: dict[str, list[tuple[int, int]]] = {}
    for workload, epoch, revision in rows:
        found.setdefault(workload, []).append((epoch, revision))
    return found


def follows(installation: Installation, workload: str, position: tuple[int, int]) -> bool:
    """Whether every replica of a service has reported a position or a later one."""
    return all(one >= position for one in reported(installation)[workload])


def head(installation: Installation, group: str, who: str) -> decision_pb2.Decision:
    """The decision on the newest revision of the policy about who may create galleries."""
    reply = (
        installation.client()
        .of(AuthorizationServiceStub)
        .Check(
            check_pb2.CheckRequest(
                subject=decision_pb2.Subject(tenant=TENANT, principal_id=who),
                action="Microsoft.Compute/galleries/write",
                resource=group,
                consistency=consistency_pb2.Consistency(fully_consistent=True),
            )
        )
    )
    return reply.decision


def test_a_change_after_a_revocation_is_refused_at_once(installation: Installation) -> None:
    group = make_group(installation.client())
    # Several times: a race would be won now and then.
    for _ in range(5):
        user = make_user(installation, "bob")
        assignment = grant(installation, principal(user), "Contributor", group)
        bob = installation.client(user)
        bob.of(GalleryServiceStub).CreateGallery(gallery(group))
        bob.of(BlobServiceStub).CreateBlob(blob(group))
        # A call after this one says nothing of what it knows: the service has to find out.
        installation.consistency_token = ""

        revoke(installation, assignment.name)

        for found in refused(bob, group):
            assert found.code == grpc.StatusCode.PERMISSION_DENIED
            assert found.info.reason == "PERMISSION_DENIED"


def test_a_revocation_reaches_the_replicas_of_catalog_and_replication(
    installation: Installation,
) -> None:
    group = make_group(installation.client())
    user = make_user(installation, "bob")
    assignment = grant(installation, principal(user), "Contributor", group)
    assert head(installation, group, user).allowed
    before = head(installation, group, user).revision

    lagging = revoke(installation, assignment.name, wait=True)

    assert lagging == ""
    decision = head(installation, group, user)
    assert not decision.allowed
    assert decision.revision > before
    reached = (decision.epoch, before + 1)
    found = reported(installation)
    for workload in ("catalog", "replication"):
        # Every process that decides has a replica of its own.
        assert found.get(workload)
        eventually(
            partial(follows, installation, workload, reached),
            f"{workload} reports {reached}",
        )


def test_a_role_by_way_of_a_group_goes_with_the_membership(installation: Installation) -> None:
    from stoa.authz.v1 import group_pb2
    from stoa.authz.v1.directory_service_pb2_grpc import DirectoryServiceStub

    directory = installation.client().of(DirectoryServiceStub)
    scope = make_group(installation.client())
    user = make_user(installation, "carol")
    inner, outer = (
        directory.CreateGroup(
            group_pb2.CreateGroupRequest(
                parent="tenants/default",
                group_id=unique("team"),
                group=group_pb2.Group(display_name="Team"),
            )
        ).name
        for _ in range(2)
    )
    for group, member in ((inner, principal(user)), (outer, inner)):
        directory.AddGroupMembers(group_pb2.AddGroupMembersRequest(group=group, members=[member]))
    grant(installation, outer, "Contributor", scope)
    carol = installation.client(user)
    carol.of(GalleryServiceStub).CreateGallery(gallery(scope))
    installation.consistency_token = ""

    directory.RemoveGroupMembers(
        group_pb2.RemoveGroupMembersRequest(group=inner, members=[principal(user)])
    )

    for found in refused(carol, scope):
        assert found.code == grpc.StatusCode.PERMISSION_DENIED
