"""Durable creations, 16 at once beside one at a time: what group commit brings.

    python -m benchmarks.creating [--database NAME] [--rounds 5] [--seconds 2]

Each CreateImageDefinition is one durable transaction, on SQLite with synchronous FULL. The goal
holds where writing durably is what takes the time: on a disk that acknowledges at once, less is
to be won.
"""

import argparse
import statistics
import subprocess
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

from stoa.catalog.v1 import image_definition_pb2, image_definition_service_pb2
from stoa.type.v1 import os_type_pb2

from benchmarks.calls import Arm, Measured, measure, servers_of
from benchmarks.installation import installation, with_image
from benchmarks.postgresql import postgresql

AT_ONCE: Final = 16
# More than each of them creates in a round.
EACH: Final = 600
_NUMBERS: Final = count()


def creation(gallery: str) -> str:
    """A request for a definition that nobody has made."""
    number = next(_NUMBERS)
    request = image_definition_service_pb2.CreateImageDefinitionRequest(
        parent=gallery,
        image_definition_id=f"made{number}",
        image_definition=image_definition_pb2.ImageDefinition(
            location="east",
            os_type=os_type_pb2.OS_TYPE_LINUX,
            os_state=os_type_pb2.OS_STATE_GENERALIZED,
            identifier=image_definition_pb2.ImageIdentifier(
                publisher="Contoso", offer="Bench", sku=f"made{number}"
            ),
        ),
    )
    return request.SerializeToString().hex()


def rounds_of(database: str, rounds: int, seconds: float) -> list[dict[int, Measured]]:
    """Measure both arms in turn on one database."""
    with ExitStack() as stack:
        settings = {"STOA_CATALOG_SERVERS": "1", "STOA_CATALOG_MAX_IMAGE_DEFINITIONS": "1000000"}
        if database == "postgresql":
            settings["STOA_CATALOG_DATABASE_URL"] = stack.enter_context(postgresql())
        one = stack.enter_context(installation(**settings))
        gallery = with_image(one).split("/images/", 1)[0]
        target = one.endpoint("catalog")
        (server,) = servers_of(int(target.rpartition(":")[2]))
        client = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("loadgen.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(client.wait)
        stack.callback(client.terminate)
        job = {
            "target": target,
            "method": "/stoa.catalog.v1.ImageDefinitionService/CreateImageDefinition",
            "metadata": [["authorization", f"Bearer {one.token()}"]],
        }

        def run(in_flight: int) -> Measured:
            requests = [creation(gallery) for _ in range(EACH * AT_ONCE)]
            arm = job | {"in_flight": in_flight, "requests": requests}
            return measure(client, Arm("create", server, arm), seconds)

        run(AT_ONCE)
        return [{number: run(number) for number in (1, AT_ONCE)} for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    for database in [chosen.database] if chosen.database else ("sqlite", "postgresql"):
        rounds = rounds_of(database, chosen.rounds, chosen.seconds)
        for number in rounds[0]:
            ours = [one[number] for one in rounds]
            print(
                f"{database:10} {number:2} at once"
                f" {statistics.median(one.rate for one in ours):6.0f} creations/s"
                f"  p50 {statistics.median(one.p50 for one in ours) * 1e3:6.2f} ms"
                f"  p99 {statistics.median(one.p99 for one in ours) * 1e3:6.2f} ms"
            )
        ratios = [one[AT_ONCE].rate / one[1].rate for one in rounds]
        middle, spread = statistics.median(ratios), f"({min(ratios):.1f} to {max(ratios):.1f})"
        print(f"{database}, {AT_ONCE} at once / one {middle:.1f} {spread}  goal >= 5")


if __name__ == "__main__":
    main()
