"""The commit point of a version, and what a collector must keep."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.replication.content.errors import FenceLost, ObjectMissing, StaleGeneration
from services.replication.content.journal import forget_task
from services.replication.content.keys import manifest_key
from services.replication.content.marking import journalled_digests, live_keys
from services.replication.content.refs import (
    OS_DISK,
    BlobRef,
    VersionRef,
    commit_blob,
    commit_version,
    read_blob,
    read_version,
    remove_blob,
    remove_version,
)
from services.replication.content.store import Store
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    ingest,
    local_store,
    make_image,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = local_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def ref(store: Store, tmp_path: Path) -> VersionRef:
    disks = {}
    for number, name in enumerate((OS_DISK, "0")):
        make_image(tmp_path / name, 6 * MIB, [(0, 5 * MIB)], seed=number)
        disks[name] = ingest(tmp_path / name, store, task=f"disk-{name}").root
    return VersionRef("v1", TENANT, 1, "r1", 1, disks)


def test_all_disks_become_visible_at_once_or_none(store: Store, ref: VersionRef) -> None:
    assert read_version(store, "v1") is None
    missing = replace(ref, disks={**ref.disks, "1": bytes(32)})
    with pytest.raises(ObjectMissing):
        commit_version(store, missing)
    assert read_version(store, "v1") is None
    commit_version(store, ref)
    assert read_version(store, "v1") == ref


def test_committing_again_is_harmless(store: Store, ref: VersionRef) -> None:
    commit_version(store, ref)
    commit_version(store, ref)
    assert read_version(store, "v1") == ref


def test_an_older_generation_never_replaces_a_newer_one(store: Store, ref: VersionRef) -> None:
    newer = replace(ref, generation=2, replication="r2")
    commit_version(store, ref)
    commit_version(store, newer)
    with pytest.raises(StaleGeneration):
        commit_version(store, ref)
    assert read_version(store, "v1") == newer


def test_a_worker_whose_fence_is_lower_has_lost(store: Store, ref: VersionRef) -> None:
    commit_version(store, replace(ref, fence=5))
    with pytest.raises(FenceLost):
        commit_version(store, replace(ref, fence=4))
    commit_version(store, replace(ref, fence=6))
    known = read_version(store, "v1")
    assert known is not None
    assert known.fence == 6


def test_removal_spares_a_newer_generation_and_repeats_are_harmless(
    store: Store, ref: VersionRef
) -> None:
    commit_version(store, replace(ref, generation=2))
    assert not remove_version(store, "v1", up_to_generation=1)
    assert remove_version(store, "v1", up_to_generation=2)
    assert remove_version(store, "v1", up_to_generation=2)
    assert read_version(store, "v1") is None


def test_a_blob_is_one_disk_under_a_ref_of_its_own(store: Store, ref: VersionRef) -> None:
    blob = BlobRef("b1", TENANT, ref.disks["os"], 6 * MIB)
    commit_blob(store, blob)
    commit_blob(store, blob)
    assert read_blob(store, "b1") == blob
    remove_blob(store, "b1")
    remove_blob(store, "b1")
    assert read_blob(store, "b1") is None


def test_marking_keeps_exactly_what_refs_lead_to(store: Store, ref: VersionRef) -> None:
    everything = {item.key for item in store.list_objects("objects")}
    assert set(live_keys(store)) == set()
    commit_version(store, replace(ref, disks={"os": ref.disks["os"]}))
    commit_blob(store, BlobRef("b1", TENANT, ref.disks["0"], 6 * MIB))
    manifests = {manifest_key(TENANT, root) for root in ref.disks.values()}
    assert set(live_keys(store)) == everything | manifests
    remove_blob(store, "b1")
    kept = set(live_keys(store))
    assert manifest_key(TENANT, ref.disks["0"]) not in kept
    assert 0 < len(kept & everything) < len(everything)


def test_marking_refuses_to_go_on_past_a_manifest_that_is_gone(
    store: Store, ref: VersionRef
) -> None:
    commit_version(store, ref)
    store.delete([manifest_key(TENANT, ref.disks["0"])])
    with pytest.raises(ObjectMissing):
        list(live_keys(store))


def test_unfinished_tasks_keep_what_they_journalled(store: Store, ref: VersionRef) -> None:
    assert len(list(journalled_digests(store))) == 4
    forget_task(store, "disk-os")
    assert len(list(journalled_digests(store))) == 2
