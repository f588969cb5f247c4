"""Threats T1, T2 and T12: a grant opens the work that it was signed for, by who may present it."""

import base64

import grpc
import pytest
from sqlalchemy import func, select
from stoa.replication.v1 import ensure_replicas_pb2

from services.replication.store import tables
from tests.wire.replication.service import Service, World, refused

DENIED = grpc.StatusCode.PERMISSION_DENIED


def planned(service: Service) -> int:
    """How many replicas are wanted: without one nothing is read."""
    count = select(func.count()).select_from(tables.replicas)
    return service.db.read(lambda one: int(one.execute(count).scalar_one()))


def changed(text: str, at: int) -> str:
    """A text of which one character is another one of its kind."""
    other = "b" if text[at] != "b" else "c"
    return text[:at] + other + text[at + 1 :]


@pytest.mark.parametrize(
    ("grant", "code", "reason"),
    [
        # The contract demands one, so that it is missed before anything is decided.
        (b"", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS"),
        (b"x", DENIED, "GRANT_INVALID"),
        (b"a.b.c", DENIED, "GRANT_INVALID"),
    ],
)
def test_t1_the_catalog_itself_has_nothing_copied_without_a_grant(
    service: Service, world: World, grant: bytes, code: grpc.StatusCode, reason: str
) -> None:
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    before = planned(service)
    with refused(code, reason):
        world.ensure(wanted, operation_grant=grant)
    assert planned(service) == before
    assert world.ensure(wanted).replication


def test_t2_a_grant_for_a_source_that_differs_by_one_byte_is_refused_before_anything_is_read(
    service: Service, world: World
) -> None:
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    claims = world.claims(wanted)
    source = claims["sources"]["os"]
    before = planned(service)
    for at in range(len(source)):
        swapped = claims | {"sources": {"os": changed(source, at)}}
        with refused(DENIED, "GRANT_MISMATCH") as refusal:
            world.ensure(wanted, operation_grant=world.sign(swapped))
        assert refusal.info.metadata["claim"] == "sources"
    assert planned(service) == before
    assert world.ensure(wanted).replication


def test_t2_a_byte_that_was_changed_in_a_grant_breaks_its_signature(
    service: Service, world: World
) -> None:
    world.region("home")
    theirs, mine = world.blob(b"theirs"), world.blob(b"mine")
    wanted = world.desired({"os": mine}, {"home": 1})
    header, claims, signature = world.sign(world.claims(wanted)).split(b".")
    said = base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))
    said = said.replace(mine.blob.uid.encode(), theirs.blob.uid.encode())
    forged = base64.urlsafe_b64encode(said).rstrip(b"=")
    assert forged != claims
    before = planned(service)
    with refused(DENIED, "GRANT_INVALID") as refusal:
        world.ensure(
            world.desired({"os": theirs}, {"home": 1}),
            operation_grant=b".".join((header, forged, signature)),
        )
    assert refusal.info.metadata["cause"] == "signature"
    assert planned(service) == before


@pytest.mark.parametrize("workload", ["authz", "replication"])
def test_t12_a_grant_of_the_catalog_is_worth_nothing_to_another_service(
    service: Service, world: World, workload: str
) -> None:
    world.region("home")
    wanted = world.desired({"os": world.blob(b"x")}, {"home": 1})
    request = ensure_replicas_pb2.EnsureReplicasRequest(
        desired=wanted, operation_grant=world.sign(world.claims(wanted))
    )
    before = planned(service)
    with refused(DENIED, "PERMISSION_DENIED"):
        service.service(workload).replications.EnsureReplicas(request, timeout=20)
    assert planned(service) == before
    assert world.catalog.replications.EnsureReplicas(request, timeout=20).replication
