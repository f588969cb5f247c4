"""Images, stores and small steps that the tests of the data plane share."""

import os
import random
from collections.abc import Iterable
from pathlib import Path

from services.replication.content.ingest import ingest_disk
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Control, CopyOptions
from services.replication.content.replicate import Origin, replicate_disk
from services.replication.content.slots import Slot
from services.replication.content.source import FileSource
from services.replication.content.store import Store
from services.replication.stores.opening import initialise_store, open_store

MIB = 1 << 20
TENANT = "t1"
SMALL = CopyOptions(workers=2, window_bytes=16 * MIB)


def make_image(path: Path, size: int, extents: Iterable[tuple[int, int]], seed: int = 1) -> None:
    """Write a sparse file with random bytes at (offset, length)."""
    source = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size)
        for offset, length in extents:
            file.seek(offset)
            file.write(source.randbytes(min(length, size - offset)))


def local_store(path: Path) -> Store:
    initialise_store(str(path))
    return open_store(str(path))


def ingest(
    path: Path,
    store: Store,
    control: Control | None = None,
    *,
    task: str = "ingest",
    options: CopyOptions = SMALL,
    base: Manifest | None = None,
) -> Manifest:
    source = FileSource(str(path))
    try:
        slot = Slot(store, TENANT, task)
        return ingest_disk(source, slot, control or Control(), options=options, base=base)
    finally:
        source.close()


def replicate(
    manifest: Manifest,
    origin: Store,
    target: Store,
    control: Control | None = None,
    *,
    task: str = "replicate",
    options: CopyOptions = SMALL,
    base: Manifest | None = None,
) -> Manifest:
    return replicate_disk(
        Origin(origin, TENANT, manifest),
        Slot(target, TENANT, task),
        control or Control(),
        options=options,
        base=base,
    )


def files_below(path: Path) -> list[Path]:
    return sorted(item for item in path.rglob("*") if item.is_file())


def allocated_bytes(path: Path) -> int:
    return os.stat(path).st_blocks * 512
