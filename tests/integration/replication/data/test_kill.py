"""SIGKILL of a real process in mid-copy, again and again."""

import random
import subprocess
import sys
import time
from pathlib import Path

from services.replication.content.keys import object_key
from services.replication.content.progress import Control
from services.replication.content.refs import read_version
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import read_manifest
from services.replication.content.verify import verify_disk
from services.replication.stores.opening import initialise_store, open_store
from tests.integration.replication.data.samples import MIB, SMALL, TENANT, make_image

ROOT = Path(__file__).parents[4]
SIZE = 64 * MIB


def run_copier(paths: list[str], *, lines: int, delay: float = 0.0) -> list[str]:
    """Run the copier and kill it `delay` seconds after its line number `lines`, 0 for never."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.replication.data.copier", *paths],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    said: list[str] = []
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            said.append(line.strip())
            if len(said) == lines:
                time.sleep(delay)
                process.kill()
    process.wait()
    return said


def is_done(said: list[str]) -> bool:
    return bool(said) and said[-1].startswith("done")


def inodes(store: Path) -> dict[str, int]:
    found = {}
    for path in (store / "objects").rglob("*"):
        if path.is_file() and path.stat().st_size > 100_000:
            found[str(path)] = path.stat().st_ino
    return found


def test_killed_at_random_a_copy_loses_at_most_a_window_and_shows_nothing_half_written(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)
    make_image(tmp_path / "image", SIZE, [(0, SIZE)])
    stores = [tmp_path / "first", tmp_path / "second"]
    for store in stores:
        initialise_store(str(store))
    paths = [str(tmp_path / "image"), *map(str, stores)]
    told: set[str] = set()
    said: list[str] = []
    kills = 0
    while not is_done(said):
        before = {store: inodes(store) for store in stores}
        said = run_copier(paths, lines=chance.randint(1, 3), delay=chance.uniform(0, 0.02))
        kills += not is_done(said)
        for path in stores:
            assert_whole_or_absent(path)
            # What was in place stays in place: nothing durable is written again.
            after = inodes(path)
            assert {key: after[key] for key in before[path]} == before[path]
            assert scratch_bytes(path) <= (kills + 1) * SMALL.window_bytes
        # A window told durable by one process is never told again by a later one.
        now = {" ".join(line.split()[:2]) for line in said if not line.startswith("done")}
        assert not told & now
        told |= now
        assert kills <= 4 * SIZE // SMALL.window_bytes
    assert kills >= 3
    root = bytes.fromhex(said[-1].split()[1])
    for path in stores:
        opened = open_store(str(path))
        manifest = read_manifest(opened, TENANT, root)
        assert verify_disk(Origin(opened, TENANT, manifest), Control()) == []
        named = {object_key(TENANT, segment.digest) for segment in manifest.segments()}
        pages = {object_key(TENANT, page.digest) for page in manifest.pages()}
        assert {item.key for item in opened.list_objects("objects")} == named | pages
        opened.sweep_temporary(older_than=-1, live_tasks=set())
        assert list(opened.list_objects("tmp")) == []
        opened.close()


def assert_whole_or_absent(path: Path) -> None:
    store = open_store(str(path))
    ref = read_version(store, "v1")
    if ref is not None:
        manifest = read_manifest(store, TENANT, ref.disks["os"])
        assert verify_disk(Origin(store, TENANT, manifest), Control()) == []
    store.close()


def scratch_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in (store / "tmp").rglob("*") if path.is_file())
