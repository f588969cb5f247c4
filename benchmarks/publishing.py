"""What a user gets: publishing through the running services, beside dd and Glance's copy-image.

Each round uploads a new image of random bytes and publishes it from the blob into the region where
the blob lies, where nothing is written and all is verified; into one region more; and into three
more. A time is that of the `stoa` command, its start included, until every region has the version.
CPU is that of all processes that serve. dd copies the same image from memory, the services from a
store, past the page cache. Glance uploads the image into one store and copies it into its second
one, without making it durable; the upload is not counted.

Run: python -m benchmarks.publishing [--mib 192] [--rounds 5] [--without-glance]
It needs about seven times the image's size of disk, more with Glance.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.calls import cpu_seconds
from benchmarks.glance_server import HEADERS, Glance, glance
from benchmarks.installation import Installation, installation
from benchmarks.replication_data import MIB, dd, in_parallel
from cli.installation.layout import Layout
from cli.installation.process_table import members
from cli.installation.running import running

HOME: Final = "home"
REGIONS: Final = {"blob's region": [], "one more": ["one"], "three more": ["r1", "r2", "r3"]}
_POLL: Final = 0.05
_WHERE: Final = ("-g", "bench", "--location", HOME)
_DEFINITION: Final = ("-r", "golden", "-i", "linux")


@dataclass(frozen=True)
class Taken:
    seconds: float
    cpu: float


Round = dict[str, Taken]


def taken(pids: Callable[[], list[int]], work: Callable[[], object]) -> Taken:
    before, began = sum(map(cpu_seconds, pids())), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return Taken(seconds, sum(map(cpu_seconds, pids())) - before)


def processes(one: Installation) -> list[int]:
    """All processes that serve."""
    return [pid for found in running(Layout(one.data)).values() for pid, _ in members(found.pid)]


def prepare(one: Installation) -> None:
    for region in (HOME, *(name for names in REGIONS.values() for name in names)):
        one.stoa("region", "create", "--name", region, "--slots", "1")
    one.stoa("group", "create", "--name", "bench", "--location", HOME)
    one.stoa("gallery", "create", *_WHERE, "-r", "golden")
    identity = ("--publisher", "Contoso", "--offer", "Base", "--sku", "Server")
    one.stoa("image-definition", "create", *_WHERE, *_DEFINITION, *identity, "--os-type", "Linux")


def publish(one: Installation, version: str, blob: str, regions: list[str]) -> None:
    """Publish with the command and wait for its end."""
    one.stoa(
        *("image-version", "create", *_WHERE, *_DEFINITION, "-e", version, "--os-blob", blob),
        *("--target-regions", HOME, *regions),
    )


def stoa_arms(one: Installation, image: Path, number: int) -> Iterator[tuple[str, Taken]]:
    blob = f"os{number}"
    one.stoa("blob", "upload", *_WHERE, "--name", blob, "--file", str(image))
    for index, (title, regions) in enumerate(REGIONS.items()):
        work = partial(publish, one, f"{number}.{index}.0", blob, regions)
        yield title, taken(lambda: processes(one), work)


def glance_copy(server: Glance, image: Path) -> Taken:
    """Upload an image, and measure its copy into the second store."""

    def request(method: str, path: str, body: object = None, kind: str = "") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        headers = HEADERS | ({"Content-Type": kind} if kind else {})
        if kind == "application/octet-stream":
            headers["Content-Length"] = str(image.stat().st_size)
        connection.request(method, path, body, headers)  # type: ignore[arg-type]
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {response.status}")
        return answer

    draft = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
    found = json.loads(request("POST", "/v2/images", json.dumps(draft), "application/json"))
    path = f"/v2/images/{found['id']}"
    with image.open("rb") as file:
        request("PUT", f"{path}/file", file, "application/octet-stream")

    def copy() -> None:
        order = {"method": {"name": "copy-image"}, "stores": ["slow"]}
        request("POST", f"{path}/import", json.dumps(order), "application/json")
        while True:
            state = json.loads(request("GET", path))
            if "slow" in state["stores"].split(",") and not state.get(
                "os_glance_importing_to_stores"
            ):
                return
            time.sleep(_POLL)

    result = taken(lambda: server.workers, copy)
    # Glance answers 500 now and then where its task has only just ended; the copy is measured.
    with contextlib.suppress(RuntimeError):
        request("DELETE", path)
    return result


def one_round(
    one: Installation, server: Glance | None, folder: Path, *, mib: int, number: int
) -> Round:
    image = folder / "image"
    with image.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())
    copies = [folder / f"dd{index}" for index in range(3)]
    found = {"dd": taken(list, lambda: dd(image, copies[0]))}
    found["three dd"] = taken(
        list, lambda: in_parallel([partial(dd, image, path) for path in copies])
    )
    for path in copies:
        path.unlink()
    found |= stoa_arms(one, image, number)
    if server is not None:
        found["Glance"] = glance_copy(server, image)
    # Nobody reads these versions again: their bytes would only fill the disk.
    for objects in one.data.rglob("objects"):
        shutil.rmtree(objects)
    os.sync()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-glance", action="store_true")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoa-publish-")))
        one = stack.enter_context(installation())
        server = None
        if not chosen.without_glance:
            server = stack.enter_context(glance(folder / "glance"))
        prepare(one)
        report(
            [
                one_round(one, server, folder, mib=chosen.mib, number=number + 1)
                for number in range(chosen.rounds)
            ],
            chosen.mib,
        )


def report(rounds: list[Round], mib: int) -> None:
    for name in rounds[0]:
        seconds = statistics.median(one[name].seconds for one in rounds)
        # Of what was written, or verified where nothing was.
        gib = max(len(REGIONS.get(name, [])), 1) * mib / 1024
        cost = statistics.median(one[name].cpu for one in rounds) / gib
        print(f"{name:15} {seconds:6.2f} s" + (f"  {cost:5.2f} CPU-s/GiB" if cost else ""))
    for title, name, beside, goal in (
        ("publish into one more region, time / dd conv=fsync", "one more", "dd", ""),
        ("publish into three more, time / three dd at once", "three more", "three dd", "<= 1.2"),
        ("publish into three more / into one more, time", "three more", "one more", ""),
    ):
        told(title, [one[name].seconds / one[beside].seconds for one in rounds], goal)
    if "Glance" in rounds[0]:
        for name in ("one more", "three more"):
            count = len(REGIONS[name])
            ratios = [one["Glance"].cpu * count / one[name].cpu for one in rounds]
            told(f"Glance copy-image / publish into {name}, CPU a copy", ratios, ">= 3")
            times = [one["Glance"].seconds * count / one[name].seconds for one in rounds]
            told(f"Glance copy-image / publish into {name}, time a copy", times, "")


def told(title: str, ratios: list[float], goal: str) -> None:
    middle = statistics.median(ratios)
    print(f"{title:58} {middle:5.2f} ({min(ratios):.2f} to {max(ratios):.2f})  {goal}")


if __name__ == "__main__":
    main()
