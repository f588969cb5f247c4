"""What must hold of every committed replica after each case (replication.md, section 8)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from services.replication.content.keys import (
    MANIFESTS,
    OBJECTS,
    VERSION_REFS,
    manifest_key,
    object_key,
)
from services.replication.content.leaf_page import decode_page
from services.replication.content.manifest import Manifest
from services.replication.content.refs import decode_version_ref
from services.replication.content.store import Store
from services.replication.domain.states import CopyState, Health
from tests.integration.replication.world import World

LEAF = 65536
SEGMENT = 64 * LEAF


def assert_sound(world: World, uid: str, disks: Mapping[str, bytes]) -> None:
    """Check that no ref points to missing or wrong bytes, and every good replica is the source.

    Everything is hashed anew here, from the files, by what docs/reference/store-format.md says.
    """
    for region in world.rows.read(lambda tx: tx.regions.all()):
        for slot in region.slots:
            check_refs(world.stores.open(region.id, slot))
    for replica in world.rows.read(lambda tx: tx.replicas.of_version(uid)):
        if replica.state is CopyState.COMPLETED and replica.health is Health.GOOD:
            for disk, data in disks.items():
                held = world.content(uid, replica.location, disk, replica.slot)
                assert held is not None
                assert hashlib.sha256(held).digest() == hashlib.sha256(data).digest()


def check_refs(store: Store) -> None:
    """Follow every ref of a version to its last leaf."""
    for item in store.list_objects(VERSION_REFS):
        stored = store.get_ref(item.key)
        assert stored is not None
        ref = decode_version_ref(stored.data)
        for root in ref.disks.values():
            check_disk(store, ref.tenant, root)


def check_disk(store: Store, tenant: str, root: bytes) -> None:
    """Read a disk object by object and compare every leaf with its digest."""
    manifest = Manifest(store.read(manifest_key(tenant, root), limit=1 << 24))
    assert manifest.root == root
    leaves: dict[int, bytes] = {}
    for page in manifest.pages():
        data = store.read(object_key(tenant, page.digest), limit=1 << 24)
        for position, entry in decode_page(data).items():
            leaves[page.group * 256 + position] = entry.leaves
    for segment in manifest.segments():
        packed = b"".join(
            store.read(object_key(tenant, extent.digest), limit=1 << 27)[
                extent.offset : extent.offset + extent.length
            ]
            for extent in segment.extents
        )
        assert len(packed) == segment.packed_length
        listed = leaves[segment.index]
        digests = [listed[at : at + 32] for at in range(0, len(listed), 32)]
        stored = [one for one in digests if any(one)]
        pieces = [packed[at : at + LEAF] for at in range(0, len(packed), LEAF)]
        assert [blake3(piece).digest() for piece in pieces] == stored


def objects_of(store: Store) -> dict[str, int]:
    """Every object and manifest of a store with its length."""
    found = [*store.list_objects(OBJECTS), *store.list_objects(MANIFESTS)]
    return {item.key: item.length for item in found}


def quarantined(store: Store) -> list[str]:
    """The names of what was set aside."""
    return [item.key.split("/")[1].partition(".")[0] for item in store.list_objects("quarantine")]


def path_of(store: Store, key: str) -> Path:
    """The file of an object in a directory."""
    return Path(store.url.removeprefix("file://")) / key


def flip(path: Path, offset: int = 0) -> None:
    """Turn a byte of a file over, as a medium does."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def cut(path: Path) -> None:
    """Lose the last bytes of a file."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 5)
