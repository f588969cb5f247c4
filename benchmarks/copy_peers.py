"""A verified, durable copy beside those of dd, cp, rclone, rsync and desync, arms alternating.

Every arm copies the same file of random bytes from memory onto the same file system and has made
it durable when it ends: dd by itself, the product as it always does, the others by `sync` of what
they wrote. The product and rclone have compared what they wrote with digests by then; the product
read it from the medium, rclone from the page cache. A peer that is not here is left out.

Sparse: 32 GiB with 100 MiB of data. A peer that has not ended after 20 seconds is stopped.

Run: python -m benchmarks.copy_peers [--mib 256] [--rounds 5] [--directory DIR]
It needs about four times the image's size of disk. `tools/bench_tools.sh` fetches the peers.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.replication_data import MIB, UNVERIFIED, VERIFIED, Bench, Measured, dd, measured
from benchmarks.tools import tool
from services.replication.content.ingest import ingest_disk
from services.replication.content.progress import Control
from services.replication.content.slots import Slot
from services.replication.content.source import FileSource
from services.replication.stores.opening import initialise_store, open_store

STOA: Final = "Stoa"
PLAIN: Final = "Stoa, not verified"
# What the ratio to each arm should be at least.
GOALS: Final = {"rclone copy": ">= 1", "rsync -W --inplace": ">= 1"}
SPARSE_LIMIT: Final = 20.0
_BLOCK: Final = 512


def run(program: str, *arguments: str | Path) -> None:
    subprocess.run(
        [program, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def durable(target: Path) -> None:
    """Make a file, or all that was written below a folder, durable."""
    run("sync", *(["--file-system"] if target.is_dir() else []), target)


def peers(bench: Bench) -> dict[str, Callable[[], None]]:
    """The arms that can be run here, by the name under which they are printed."""
    image, target, chunks = bench.image, bench.directory / "peer", bench.directory / "chunks"
    index = bench.directory / "image.caibx"
    desync = tool("desync")

    def copied(program: str | None, *arguments: str) -> Callable[[], None] | None:
        def copy() -> None:
            assert program is not None
            run(program, *arguments, image, target)
            durable(target)

        return copy if program else None

    def chop() -> None:
        chunks.mkdir()
        run(str(desync), "make", "--store", chunks, index, image)
        durable(chunks)

    def extract() -> None:
        run(str(desync), "extract", "--store", chunks, index, target)
        durable(target)

    found: dict[str, Callable[[], None] | None] = {
        STOA: lambda: void(bench.ingest("one", VERIFIED)),
        PLAIN: lambda: void(bench.ingest("one", UNVERIFIED)),
        "dd conv=fsync": lambda: dd(image, target),
        "cp, sync": copied(tool("cp")),
        "rclone copy": copied(tool("rclone"), "copyto", "--quiet", "--config", ""),
        "rsync -W --inplace": copied(tool("rsync"), "--whole-file", "--inplace"),
        "desync make": chop if desync else None,
        "desync extract": extract if desync else None,
    }
    for name, arm in found.items():
        if arm is None:
            print(f"{name} is left out: it is not here; tools/bench_tools.sh fetches it")
    return {name: arm for name, arm in found.items() if arm is not None}


def void(_: object) -> None:
    """Drop an answer."""


def one_round(bench: Bench, arms: dict[str, Callable[[], None]]) -> dict[str, Measured]:
    """Run every arm once, each into an empty place."""
    taken = {}
    for name, arm in arms.items():
        taken[name] = measured(arm)
        # What desync chopped is what it extracts next.
        bench.clear("one", "peer")
    bench.clear("chunks", "image.caibx")
    return taken


def sparse(directory: Path) -> None:
    """Print how long each takes for a sparse disk, and how much its target occupies."""
    source, target = directory / "sparse", directory / "sparse-copy"
    with source.open("wb") as file:
        file.truncate(32 << 30)
        for number in range(100):
            file.seek(number * (327 * MIB))
            file.write(os.urandom(MIB))
    os.sync()
    commands = {
        "cp --sparse=always, sync": ("cp", "--sparse=always"),
        "rclone copy, sync": ("rclone", "copyto", "--quiet", "--config", ""),
        "rsync -S, sync": ("rsync", "--sparse", "--whole-file"),
    }
    stoa_sparse(directory, source)
    for name, (program, *options) in commands.items():
        found = tool(program)
        if found is None:
            print(f"{name} is left out: it is not here")
            continue
        began = time.perf_counter()
        process = subprocess.Popen(
            [found, *options, source, target], stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(SPARSE_LIMIT)
            durable(target)
            told(name, f"{time.perf_counter() - began:6.2f}", occupied(target))
        except subprocess.TimeoutExpired:
            # Before it ends: some clear away what they did not finish.
            told(name, f"> {SPARSE_LIMIT:4.0f}", sum(map(occupied, written(directory))))
            process.terminate()
            process.wait()
        for left in written(directory):
            left.unlink()
    source.unlink()


def written(directory: Path) -> list[Path]:
    """The target of a sparse copy, and what a peer calls it until it is whole."""
    return [*directory.glob("sparse-copy*"), *directory.glob(".sparse-copy*")]


def stoa_sparse(directory: Path, path: Path) -> None:
    store = directory / "sparse-store"
    initialise_store(str(store))
    source = FileSource(str(path))
    slot = Slot(open_store(str(store)), "bench", "task")
    seconds = measured(lambda: ingest_disk(source, slot, Control())).seconds
    source.close()
    told("Stoa, verified", f"{seconds:6.2f}", occupied(store), "<= 1")


def told(name: str, seconds: str, size: int, goal: str = "") -> None:
    print(f"32 GiB sparse, 100 MiB of data: {name:26} {seconds} s, {size / MIB:6.0f} MiB  {goal}")


def occupied(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_blocks * _BLOCK for one in files)


def report(rounds: list[dict[str, Measured]], mib: int) -> None:
    print(f"\n{mib} MiB of random bytes, {os.cpu_count()} CPUs, {platform.platform()}")
    for name in rounds[0]:
        rate = statistics.median(mib / one[name].seconds for one in rounds)
        cost = statistics.median(one[name].cpu for one in rounds) * 1024 / mib
        line = f"{name:20} {rate:6.0f} MiB/s  {cost:5.2f} CPU-s/GiB"
        if name != STOA:
            speeds = [one[name].seconds / one[STOA].seconds for one in rounds]
            costs = [one[name].cpu / one[STOA].cpu for one in rounds]
            line += f"  speed of Stoa / its {spread(speeds)} {GOALS.get(name, ''):5}"
            line += f"  its CPU / Stoa's {spread(costs)}"
        print(line)
    for name, goal in (
        ("dd conv=fsync", ">= 0.9"),
        ("cp, sync", ""),
        ("rsync -W --inplace", ">= 1"),
    ):
        if name in rounds[0]:
            speeds = [one[name].seconds / one[PLAIN].seconds for one in rounds]
            print(f"{PLAIN}, speed / {name:20} {spread(speeds)}  {goal}")


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stoa-peers-", dir=chosen.directory) as name:
        bench = Bench(Path(name), chosen.mib)
        arms = peers(bench)
        rounds = [one_round(bench, arms) for _ in range(chosen.rounds)]
        report(rounds, chosen.mib)
        sparse(bench.directory)


if __name__ == "__main__":
    main()
