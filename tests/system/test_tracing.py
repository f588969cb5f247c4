"""One trace follows a version from the command to each copy of its bytes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.disks import noise
from tests.system.installation import Installation, eventually
from tests.system.publishing import make_image, make_shop

pytestmark = pytest.mark.timeout(240)

REGIONS = ("eastus", "eastus2", "westus")


def spans(installation: Installation, trace_id: str = "") -> Iterator[dict[str, Any]]:
    """The spans that were exported, of one trace or of all."""
    file = installation.layout.data.parent / "spans.jsonl"
    for line in file.read_text().splitlines():
        span = json.loads(line)
        if span["trace_id"] == trace_id or not trace_id:
            yield span


def test_one_trace_connects_command_catalog_authz_and_the_copy_in_each_region(
    installation: Installation,
) -> None:
    shop = make_shop(installation.client())
    image = make_image(shop.owner, shop.group, noise(2, 71), noise(1, 72))
    _, _, _, group, _, gallery = shop.gallery.split("/")
    before = {span["trace_id"] for span in spans(installation)}

    installation.stoa(
        *("image-version", "create", "-g", group, "-r", gallery, "-i", "linux-base"),
        *("-e", "1.0.0", "-l", "eastus", "--managed-image", image.rpartition("/")[2]),
        *("--target-regions", *REGIONS),
    )

    (command,) = [
        span
        for span in spans(installation)
        if span["service"] == "cli" and span["trace_id"] not in before
    ]
    trace_id = command["trace_id"]

    def copied() -> dict[str, set[str]]:
        """The regions that each span of replication names."""
        found: dict[str, set[str]] = {}
        for span in spans(installation, trace_id):
            if span["service"] == "stoa-replication":
                named = {str(value) for value in span["attributes"].values()} & set(REGIONS)
                for region in named:
                    found.setdefault(region, set()).add(span["name"])
        return found

    # A span is written when its work has ended, which may be after the operation.
    eventually(lambda: set(copied()) == set(REGIONS), "a span of the copy in each region")
    found = list(spans(installation, trace_id))
    assert {"cli", "stoa-catalog", "stoa-authz", "stoa-replication"} <= {
        span["service"] for span in found
    }
    # It is one tree: but for the command every span has its parent in the same trace.
    known = {span["span_id"] for span in found}
    children = [span for span in found if span["span_id"] != command["span_id"]]
    assert [span for span in children if span["parent_span_id"] not in known] == []
    methods = {(span["service"], span["name"]) for span in found}
    assert any(
        service == "stoa-catalog" and name.endswith("ImageVersionService/CreateImageVersion")
        for service, name in methods
    )
    assert any(
        service == "stoa-replication" and name.endswith("ReplicationService/EnsureReplicas")
        for service, name in methods
    )
