"""What moves of a version when the one before it is in the slot already.

Two kinds of images. The synthetic one is an ext4 image of files of many sizes, made by `mkfs.ext4
-d`; then one file in twenty is removed and written anew into the same image by `debugfs`, as
package managers do. The real ones are the machine's distribution as it was released last and with
its updates, upgraded in place and built anew (benchmarks/distribution_images.py). Beside the
product's copies by segment and by leaf stand desync, which cuts where the content says so, and
rsync. Printed are counts of bytes: they are the same on every machine that builds the same images.

Run: python -m benchmarks.delta [--mib 512] [--keep FOLDER | --images FIRST SECOND ...]
It needs mkfs.ext4 and debugfs, and about four times the images' size of disk. `--keep` takes the
distribution's images from a folder where they were built before, and builds them there otherwise;
`--images` compares any raw images with the first of them.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.distribution_images import Unavailable, build, distribution, packages_of
from benchmarks.tools import tool
from services.replication.content.ingest import ingest_disk
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Control, CopyOptions, VerifyPolicy
from services.replication.content.replicate import Origin, plan_disk, replicate_disk
from services.replication.content.slots import Slot
from services.replication.content.source import FileSource
from services.replication.content.store import Store
from services.replication.stores.opening import initialise_store, open_store

MIB: Final = 1 << 20
KIB: Final = 1 << 10
TENANT: Final = "bench"
GOAL: Final = "  <= 15 %"
# Of an index of desync: what comes before its table, the table's header, an entry of it.
_INDEX_HEADER: Final = 48
_TABLE_HEADER: Final = 16
_CHUNK: Final = struct.Struct("<Q32s")


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


def synthetic(folder: Path, mib: int) -> tuple[Path, Path] | None:
    """Make an image, and the same with 5 % of its files rewritten; None without the tools."""
    mkfs, debugfs = tool("mkfs.ext4"), tool("debugfs")
    if mkfs is None or debugfs is None:
        print("skipped: mkfs.ext4 and debugfs are needed")
        return None
    chance = random.Random(1)
    tree, first, second = folder / "tree", folder / "synthetic", folder / "rewritten"
    files = make_tree(tree, mib * MIB // 2, chance)
    subprocess.run([mkfs, "-q", "-F", "-d", str(tree), str(first), f"{mib}M"], check=True)
    shutil.copyfile(first, second)
    rewrite(second, tree, chance.sample(files, len(files) // 20), debugfs)
    shutil.rmtree(tree)
    return first, second


def ingest(image: Path, store: Store) -> Manifest:
    source = FileSource(str(image))
    options = CopyOptions(verify=VerifyPolicy.NONE)
    try:
        return ingest_disk(source, Slot(store, TENANT, image.name), Control(), options=options)
    finally:
        source.close()


def copy(origin: Store, manifest: Manifest, target: Store, base: Manifest | None = None) -> int:
    """Copy a disk into a slot; answer the bytes that were written."""
    control = Control()
    slot = Slot(target, TENANT, manifest.root.hex()[:16])
    replicate_disk(Origin(origin, TENANT, manifest), slot, control, base=base)
    return control.progress.sample().copied


def chunks(index: Path) -> Iterator[tuple[bytes, int]]:
    """Yield digest and length of the chunks that an index of desync lists."""
    data = index.read_bytes()[_INDEX_HEADER + _TABLE_HEADER :]
    begin = 0
    # The last entry is the end of the table and lists no chunk.
    for end, digest in _CHUNK.iter_unpack(data[: len(data) // _CHUNK.size * _CHUNK.size - 40]):
        yield digest, end - begin
        begin = end


def by_desync(first: Path, second: Path, folder: Path) -> int | None:
    """Answer the bytes of the chunks that the first image lacks, 64 KiB long on average."""
    program = tool("desync")
    if program is None:
        return None
    listed = []
    for image in (first, second):
        index = folder / f"{image.name}.caibx"
        subprocess.run([program, "make", str(index), str(image)], check=True, capture_output=True)
        listed.append(dict(chunks(index)))
    before, after = listed
    return sum(length for digest, length in after.items() if digest not in before)


def by_rsync(first: Path, second: Path, folder: Path) -> int | None:
    """Answer the bytes that rsync does not find in the first image."""
    program = tool("rsync")
    if program is None:
        return None
    target = folder / "rsync"
    shutil.copyfile(first, target)
    command = (program, "--no-whole-file", "--inplace", "--ignore-times", "--stats")
    told = subprocess.run(
        [*command, str(second), str(target)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    ).stdout
    target.unlink()
    (line,) = [one for one in told.splitlines() if one.startswith("Literal data:")]
    return int(line.split()[2].replace(",", ""))


def compare(first: Path, second: Path, folder: Path, *, what: str, goal: str = "") -> None:
    """Print what of the second image moves into a slot that holds the first one."""
    stores = [folder / "origin", folder / "slot"]
    for path in stores:
        initialise_store(str(path))
    origin, slot = (open_store(str(path)) for path in stores)
    try:
        older = ingest(first, origin)
        newer = ingest(second, origin)
        copy(origin, older, slot)
        by_segment = plan_disk(newer, slot, TENANT).missing
        by_leaf = copy(origin, newer, slot, older)
    finally:
        origin.close()
        slot.close()
        for path in stores:
            shutil.rmtree(path)
    data = newer.occupied_bytes
    print(f"{what}: {data / MIB:.0f} MiB of data", flush=True)
    print(f"  by segment of 4 MiB          {by_segment / data:6.1%} of the data")
    print(f"  by leaf, in delta packs      {by_leaf / data:6.1%} of the data{goal}", flush=True)
    for name, moved in (
        ("desync, chunks of 64 KiB", by_desync(first, second, folder)),
        ("rsync --no-whole-file", by_rsync(first, second, folder)),
    ):
        said = "is not here" if moved is None else f"{moved / data:6.1%} of the data"
        print(f"  {name:28} {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--directory", type=Path)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--keep", type=Path)
    chosen.add_argument("--images", type=Path, nargs="+", default=())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        folder = Path(name)
        for image in given.images[1:]:
            compare(given.images[0], image, folder, what=image.name)
        if given.images:
            return
        made = synthetic(folder, given.mib)
        if made is not None:
            what = f"image of {given.mib} MiB, 5 % of its files rewritten"
            compare(*made, folder, what=what, goal=GOAL)
        try:
            release, updated, anew = build((given.keep or folder / "built").resolve())
        except Unavailable as why:
            print(f"skipped: {why}")
            return
        before = packages_of(release)
        for image, way in ((updated, "upgraded in place"), (anew, "built anew")):
            compare(release, image, folder, what=f"{' '.join(distribution())}, {way}")
            after = packages_of(image)
            others = [
                name
                for name, (version, _) in after.items()
                if version != before.get(name, ("",))[0]
            ]
            size = sum(after[name][1] for name in others) / sum(size for _, size in after.values())
            told = f"{size:6.1%} of their size, {len(others)} of {len(after)}"
            print(f"  packages of other versions   {told}", flush=True)


if __name__ == "__main__":
    main()
