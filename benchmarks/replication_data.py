"""Copying disks into stores against `dd conv=fsync` and `cp`, side by side in one run.

Every round runs every arm once, in turn; printed are the medians of the ratios within a round, so
that a machine that slows down slows all arms. Verification reads the medium, not the page cache:
what that can cost at least is measured too, as dd writing the image and reading it back directly.
Regions copy from a store whose bytes are not in memory, dd from a file that is.

Run: python benchmarks/replication_data.py [--mib 1024] [--rounds 5] [--directory DIR]
It needs about five times the image's size of disk.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from services.replication.content.errors import Cancelled
from services.replication.content.ingest import ingest_disk
from services.replication.content.manifest import Manifest
from services.replication.content.progress import Control, CopyOptions, VerifyPolicy
from services.replication.content.pull import pull_disk
from services.replication.content.replicate import Origin, replicate_disk
from services.replication.content.slots import Slot
from services.replication.content.source import FileSource
from services.replication.content.store import Store
from services.replication.stores.opening import initialise_store, open_store

MIB = 1 << 20
UNVERIFIED = CopyOptions(verify=VerifyPolicy.NONE)
VERIFIED = CopyOptions(verify=VerifyPolicy.FULL)


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu: float


class Bench:
    def __init__(self, directory: Path, mib: int) -> None:
        self.directory = directory
        self.size = mib * MIB
        self.image = directory / "image"
        with self.image.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))
            os.fsync(file.fileno())
        self.origin_store = self.store("origin")
        self.manifest = self.ingest("origin", VERIFIED)

    def store(self, name: str) -> Store:
        path = str(self.directory / name)
        initialise_store(path)
        return open_store(path)

    def ingest(self, name: str, options: CopyOptions, control: Control | None = None) -> Manifest:
        source = FileSource(str(self.image))
        try:
            slot = Slot(self.store(name), "bench", "task")
            return ingest_disk(source, slot, control or Control(), options=options)
        finally:
            source.close()

    def replicate(self, name: str, options: CopyOptions) -> None:
        origin = Origin(self.origin_store, "bench", self.manifest)
        slot = Slot(self.store(name), "bench", "task")
        replicate_disk(origin, slot, Control(), options=options)

    def clear(self, *names: str) -> None:
        for name in names:
            path = self.directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        os.sync()


def measured(work: Callable[[], object]) -> Measured:
    def cpu() -> float:
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    before, began = cpu(), time.perf_counter()
    work()
    return Measured(time.perf_counter() - began, cpu() - before)


def dd(source: Path, target: Path) -> None:
    subprocess.run(
        ["dd", f"if={source}", f"of={target}", "bs=4M", "conv=fsync"],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def dd_from_medium(source: Path, target: Path) -> None:
    options = ["bs=4M", "iflag=direct"]
    if target != Path(os.devnull):
        options.append("conv=fsync")
    subprocess.run(
        ["dd", f"if={source}", f"of={target}", *options], check=True, stderr=subprocess.DEVNULL
    )


def cp_and_hash(source: Path, target: Path) -> None:
    subprocess.run(["cp", source, target], check=True)
    subprocess.run(["sync", target], check=True)
    subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)


def in_parallel(work: Sequence[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=item) for item in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def arms(bench: Bench) -> Iterator[tuple[str, Measured]]:
    """Run every arm once, each into an empty place."""
    one, three = "one", ["r1", "r2", "r3"]
    plain = [bench.directory / f"dd{number}" for number in range(3)]

    yield "dd", measured(lambda: dd(bench.image, plain[0]))
    yield "dd back", measured(lambda: dd_from_medium(plain[0], Path(os.devnull)))
    bench.clear("dd0")
    yield "copy", measured(lambda: bench.ingest(one, UNVERIFIED))
    bench.clear(one)
    yield "cp", measured(lambda: subprocess.run(["cp", bench.image, plain[0]], check=True))
    bench.clear("dd0")
    yield "cp+sync+hash", measured(lambda: cp_and_hash(bench.image, plain[0]))
    bench.clear("dd0")
    yield "verified", measured(lambda: bench.ingest(one, VERIFIED))
    bench.clear(one)
    copies = [partial(dd, bench.image, path) for path in plain]
    yield "three dd", measured(lambda: in_parallel(copies))
    bench.clear("dd0", "dd1", "dd2")
    regions = [partial(bench.replicate, name, UNVERIFIED) for name in three]
    yield "three regions", measured(lambda: in_parallel(regions))
    bench.clear(*three)
    yield "resume", resume_at_nine_tenths(bench)
    bench.clear(one)
    origin = Origin(bench.origin_store, "bench", bench.manifest)
    pulled = bench.directory / "pulled"
    yield "pull", measured(lambda: pull_disk(origin, str(pulled), Control()))
    bench.clear("pulled")
    yield "dd from medium", measured(lambda: dd_from_medium(bench.image, plain[0]))
    bench.clear("dd0")


def resume_at_nine_tenths(bench: Bench) -> Measured:
    """Stop a verified copy once nine tenths are durable, and time what is left."""
    stop = Control()
    windows = CopyOptions(window_bytes=bench.size // 10)

    def watch(_: object) -> None:
        if stop.progress.sample().copied >= bench.size * 9 // 10 - 8 * MIB:
            stop.cancelled.set()

    stop.checkpoint = watch
    with contextlib.suppress(Cancelled):
        bench.ingest("one", windows, stop)
    return measured(lambda: bench.ingest("one", VERIFIED))


def sparse(bench: Bench) -> float:
    """Copy 32 GiB with 100 MiB of data, durable and verified; return the seconds."""
    path = bench.directory / "sparse"
    with path.open("wb") as file:
        file.truncate(32 << 30)
        for number in range(100):
            file.seek(number * (327 * MIB))
            file.write(os.urandom(MIB))
    source = FileSource(str(path))
    slot = Slot(bench.store("sparse-store"), "bench", "task")
    seconds = measured(lambda: ingest_disk(source, slot, Control())).seconds
    source.close()
    bench.clear("sparse", "sparse-store")
    return seconds


Round = dict[str, Measured]


def time_of(*names: str) -> Callable[[Round], float]:
    """Return what adds up the seconds of arms."""
    return lambda one: sum(one[name].seconds for name in names)


# Title, what is divided by what within a round, and the bound to be met.
ROWS = (
    ("durable copy, speed / dd conv=fsync", time_of("dd"), time_of("copy"), ">= 0.9"),
    ("durable copy, speed / cp without sync", time_of("cp"), time_of("copy"), ""),
    ("verified, speed / cp, sync, sha256sum", time_of("cp+sync+hash"), time_of("verified"), ">= 1"),
    ("verified, time / unverified", time_of("verified"), time_of("copy"), "<= 1.5"),
    (
        "verified, time / unverified, dd back",
        time_of("verified"),
        time_of("copy", "dd back"),
        "<= 1.1",
    ),
    ("  dd there and back, time / dd there", time_of("dd", "dd back"), time_of("dd"), "limit"),
    ("verified, time / dd there and back", time_of("verified"), time_of("dd", "dd back"), "<= 1.1"),
    ("three regions, time / three dd", time_of("three regions"), time_of("three dd"), "<= 1.2"),
    ("resume at 90 %, time / whole copy", time_of("resume"), time_of("verified"), "<= 0.2"),
    ("pull, speed / dd from the medium", time_of("dd from medium"), time_of("pull"), ""),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as name:
        bench = Bench(Path(name), chosen.mib)
        rounds = []
        for number in range(chosen.rounds):
            rounds.append(dict(arms(bench)))
            times = "  ".join(f"{arm} {one.seconds:.2f}" for arm, one in rounds[-1].items())
            print(f"round {number + 1}, seconds: {times}", flush=True)
        print(f"\n{chosen.mib} MiB of random bytes, {os.cpu_count()} CPUs, {platform.platform()}")
        for title, above, below, bound in ROWS:
            ratios = [above(one) / below(one) for one in rounds]
            low, high = min(ratios), max(ratios)
            middle = statistics.median(ratios)
            print(f"{title:40} {middle:6.2f}  ({low:.2f} to {high:.2f})  {bound}")
        for arm in rounds[0]:
            cost = statistics.median(one[arm].cpu for one in rounds) * 1024 / chosen.mib
            rate = statistics.median(chosen.mib / one[arm].seconds for one in rounds)
            print(f"{arm:20} {rate:8.0f} MiB/s  {cost:6.2f} CPU-s/GiB")
        print(f"32 GiB sparse with 100 MiB of data: {sparse(bench):.2f} s  <= 1")
        print(f"peak memory of this process: {peak_mib():.0f} MiB")


def peak_mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


if __name__ == "__main__":
    main()
