"""What moves of a version when one with 5 % other files is in the slot already.

An ext4 image of files of many sizes is made by `mkfs.ext4 -d`; then one file in twenty is removed
and written anew into the same image by `debugfs`, as package managers do. Printed are counts of
bytes: they are the same on every machine.

Run: python -m benchmarks.delta [--mib 512]
It needs mkfs.ext4 and debugfs, and about four times the image's size of disk.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

from services.replication.content.ingest import ingest_disk
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Control
from services.replication.content.replicate import Origin, replicate_disk
from services.replication.content.slots import Slot
from services.replication.content.source import FileSource
from services.replication.content.store import Store
from services.replication.stores.opening import initialise_store, open_store

MIB = 1 << 20
KIB = 1 << 10
TENANT = "bench"


def tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def make_tree(folder: Path, size: int, chance: random.Random) -> list[Path]:
    """Write files of 1 KiB to 1 MiB, most of them small, a hundred to a directory."""
    made: list[Path] = []
    left = size
    while left > 0:
        length = min(left, int(KIB * 2 ** chance.uniform(0, 10)))
        path = folder / f"d{len(made) // 100}" / f"f{len(made)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(length))
        made.append(path)
        left -= length
    return made


def rewrite(image: Path, tree: Path, files: list[Path], debugfs: str) -> None:
    """Replace files of an image by others of the same length."""
    commands = []
    for path in files:
        path.write_bytes(os.urandom(path.stat().st_size))
        name = f"/{path.relative_to(tree)}"
        commands += [f"rm {name}", f"write {path} {name}"]
    subprocess.run(
        [debugfs, "-w", "-f", "-", str(image)],
        input="\n".join(commands),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def ingest(image: Path, store: Store, task: str) -> Manifest:
    source = FileSource(str(image))
    try:
        return ingest_disk(source, Slot(store, TENANT, task), Control())
    finally:
        source.close()


def moved(origin: Store, manifest: Manifest, folder: Path, base: Manifest | None) -> int:
    """Answer the bytes that a copy writes, into a slot with the base or without it."""
    path = str(folder)
    if not folder.exists():
        initialise_store(path)
    target = open_store(path)
    control = Control()
    task = manifest.root.hex()[:16]
    replicate_disk(Origin(origin, TENANT, manifest), Slot(target, TENANT, task), control, base=base)
    target.close()
    return control.progress.sample().copied


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--directory", type=Path)
    chosen = parser.parse_args()
    mkfs, debugfs = tool("mkfs.ext4"), tool("debugfs")
    if mkfs is None or debugfs is None:
        print("skipped: mkfs.ext4 and debugfs are needed")
        return
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(dir=chosen.directory) as name:
        folder = Path(name)
        tree, image = folder / "tree", folder / "image"
        files = make_tree(tree, chosen.mib * MIB // 2, chance)
        command = [mkfs, "-q", "-F", "-d", str(tree), str(image), f"{chosen.mib}M"]
        subprocess.run(command, check=True)
        initialise_store(str(folder / "origin"))
        origin = open_store(str(folder / "origin"))
        first = ingest(image, origin, "first")
        rewrite(image, tree, chance.sample(files, len(files) // 20), debugfs)
        second = ingest(image, origin, "second")
        moved(origin, first, folder / "slot", None)
        data = second.occupied_bytes
        delta = moved(origin, second, folder / "slot", first)
        moved(origin, first, folder / "segments", None)
        by_segment = moved(origin, second, folder / "segments", None)
        print(f"image of {chosen.mib} MiB, {data / MIB:.0f} MiB of data, {len(files)} files")
        print(f"by segment of 4 MiB      {by_segment / data:6.1%} of the data")
        print(f"by leaf, in delta packs  {delta / data:6.1%} of the data  <= 15 %")
        origin.close()


if __name__ == "__main__":
    main()
