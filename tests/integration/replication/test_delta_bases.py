"""Which older version a new one is compared with, and what finding it costs."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from services.replication.content.keys import manifest_key
from services.replication.domain.states import CopyState, Health
from services.replication.usecases.bases import Wanted, base_of
from tests.integration.replication.sound import path_of
from tests.integration.replication.world import GROUP, TENANT, World, some_bytes

IMAGES = f"{GROUP}/galleries/g/images"
PLACE = ("home", "s1")


def published(world: World, uid: str, name: str, *, tenant: str = TENANT) -> str:
    """Publish a version of one disk at home; answer its root."""
    disks = {"os": world.upload(f"b{uid}", some_bytes(9, ord(uid)), tenant=tenant)}
    wanted = world.desired(
        disks, {"home": 1}, uid=uid * 32, version=f"{IMAGES}/{name}", tenant=tenant
    )
    world.wait_end(world.ensure(wanted).id)
    (disk,) = world.rows.read(lambda tx: tx.versions.disks(uid * 32))
    return disk.root


@pytest.fixture
def roots(world: World) -> dict[str, str]:
    """Versions of two definitions, whose names begin alike, and of another tenant."""
    world.add_region("home")
    with world.working():
        return {
            "a": published(world, "a", "i/versions/1.0.0"),
            "b": published(world, "b", "I/versions/2.0.0"),
            "c": published(world, "c", "i2/versions/3.0.0"),
            "d": published(world, "d", "i/versions/4.0.0", tenant="other"),
        }


def base(world: World, *, uid: str = "f", disk: str = "os") -> str:
    wanted = Wanted(uid * 32, f"{IMAGES}/i/versions/9.0.0", TENANT, disk)
    found = base_of(world.rows, world.slot_store(*PLACE), PLACE, wanted)
    return "" if found is None else found.root.hex()


def test_the_newest_version_of_the_definition_that_is_whole_is_the_base(
    world: World, roots: dict[str, str]
) -> None:
    assert base(world) == roots["b"]
    # A version is not compared with itself.
    assert base(world, uid="b") == roots["a"]
    assert base(world, disk="1") == ""
    there = world.replica("home", uid="b" * 32)
    for changed in (
        replace(there, state=CopyState.REMOVING),
        replace(there, health=Health.DAMAGED),
        replace(there, commit_time=None),
    ):
        world.rows.transact(lambda tx, put=changed: tx.replicas.put(put))  # type: ignore[misc]
        assert base(world) == roots["a"]
    world.rows.transact(lambda tx: tx.replicas.put(there))
    assert base(world) == roots["b"]
    path_of(world.slot_store(*PLACE), manifest_key(TENANT, bytes.fromhex(roots["b"]))).unlink()
    assert base(world) == roots["a"]


def test_a_base_is_found_by_one_statement_among_the_versions_of_its_definition(
    world: World, roots: dict[str, str]
) -> None:
    wanted = Wanted("f" * 32, f"{IMAGES}/i/versions/9.0.0", TENANT, "os")
    store = world.slot_store(*PLACE)
    with world.db.statements() as statements:
        found = base_of(world.rows, store, PLACE, wanted)
    assert found is not None
    assert found.root.hex() == roots["b"]
    (statement,) = statements
    if world.db.dialect == "sqlite":
        (step,) = [
            one for one in world.db.read(lambda tx: plan(tx, statement)) if " replicas " in one
        ]
        assert "ix_replicas_slot (location=? AND slot=? AND name_key>? AND name_key<?)" in step


def plan(tx: Connection, statement: str) -> list[str]:
    values = (None,) * statement.count("?")
    return [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
