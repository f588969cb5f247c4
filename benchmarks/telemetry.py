"""What telemetry costs a call: the CPU of the catalog with its default sampling and without any.

    python -m benchmarks.telemetry [--rounds 7] [--seconds 2]

Two installations, alike but for telemetry: one writes sampled spans and all histograms to a file,
the other has OTEL_SDK_DISABLED. Arms alternate; ratios are taken round by round.
"""

import argparse
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from stoa.catalog.v1 import image_version_requests_pb2

from benchmarks.calls import CORES, Arm, Measured, measure, pin, servers_of
from benchmarks.creating import AT_ONCE, EACH, creation
from benchmarks.installation import Installation, installation, with_image

GET: Final = "/stoa.catalog.v1.ImageVersionService/GetImageVersion"
CREATE: Final = "/stoa.catalog.v1.ImageDefinitionService/CreateImageDefinition"


class Side:
    """An installation with or without telemetry, and what is called there."""

    def __init__(self, one: Installation) -> None:
        name = with_image(one)
        self._gallery: Final = name.split("/images/", 1)[0]
        self._target: Final = one.endpoint("catalog")
        (self._server,) = servers_of(int(self._target.rpartition(":")[2]))
        pin(self._server, CORES[0])
        request = image_version_requests_pb2.GetImageVersionRequest(name=name)
        self._get: Final = [request.SerializeToString().hex()]
        self._metadata: Final = [["authorization", f"Bearer {one.token()}"]]

    def arm(self, method: str) -> Arm:
        """Calls of a method."""
        creations = [creation(self._gallery) for _ in range(EACH * AT_ONCE)]
        job = {
            "target": self._target,
            "method": method,
            "requests": self._get if method == GET else creations,
            "metadata": self._metadata,
            "in_flight": AT_ONCE,
        }
        return Arm(method.rpartition("/")[2], self._server, job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    common = {"STOA_CATALOG_SERVERS": "1", "STOA_CATALOG_MAX_IMAGE_DEFINITIONS": "1000000"}
    with ExitStack() as stack:
        client = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("loadgen.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(client.wait)
        stack.callback(client.terminate)
        pin(client.pid, CORES[-1])
        off = Side(stack.enter_context(installation(**common, OTEL_SDK_DISABLED="true")))
        spans = stack.enter_context(installation(**common, STOA_TELEMETRY_FILE="/dev/null"))
        on = Side(spans)
        for method in (GET, CREATE):
            rounds: list[tuple[Measured, Measured]] = []
            for number in range(chosen.rounds + 1):
                pair = [measure(client, side.arm(method), chosen.seconds) for side in (on, off)]
                if number:
                    rounds.append((pair[0], pair[1]))
            ratios = [with_.cpu / without.cpu for with_, without in rounds]
            cost = statistics.median(without.cpu for _, without in rounds) * 1e6
            spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
            print(
                f"{method.rpartition('/')[2]:24} {cost:5.0f} us of CPU a call without;"
                f" with / without {statistics.median(ratios):.2f} {spread}  goal <= 1.05"
            )


if __name__ == "__main__":
    main()
