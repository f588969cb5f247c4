"""Clients that know nothing of Stoa but what reflection tells, and the examples."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.disks import noise, sparse
from tests.system.installation import Installation
from tests.system.publishing import Shop, make_image, make_shop, publish

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
# What is wrong with the request at the end of both sessions.
WRONG_FIELDS = {"image_version_id", "image_version.location", "image_version.replica_count"}


@pytest.fixture(scope="module")
def shop(installation: Installation) -> Shop:
    return make_shop(installation.client())


@pytest.fixture(scope="module")
def image(shop: Shop) -> str:
    return make_image(shop.owner, shop.group, sparse(16, 2, 61), noise(1, 62))


@pytest.fixture(scope="module")
def version(shop: Shop, image: str) -> str:
    return publish(shop, image, {"eastus": 2, "westus": 1}).name


def run(installation: Installation, *command: str) -> str:
    """Run a program as a user of the installation would, and answer what it printed."""
    view = installation.view
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(installation.layout.data),
        "PYTHONPATH": str(ROOT / "gen"),
        "STOA_HOME": str(installation.layout.data),
        "STOA_CATALOG_ENDPOINT": view.endpoints["catalog"],
        "STOA_REPLICATION_ENDPOINT": view.endpoints["replication"],
    }
    done = subprocess.run(
        command, capture_output=True, check=False, env=environ, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parts(output: str) -> list[str]:
    """What stands behind each heading of a session."""
    return [
        one.partition("\n")[2].strip() for one in re.split(r"^# ", output, flags=re.MULTILINE)[1:]
    ]


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents that stand one after the other."""
    decoder = json.JSONDecoder()
    found = []
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def error_of(text: str) -> tuple[str, dict[str, Any]]:
    """The code of an error that `buf curl` printed, and its details by their type."""
    decoder = json.JSONDecoder()
    error, end = decoder.raw_decode(text, text.index("{"))
    lines = (line.split(" ", 1) for line in text[end:].strip().splitlines())
    return error["code"], {kind: json.loads(detail) for kind, detail in lines}


def check_watched(now: str, from_the_start: str) -> None:
    """A replication that has ended is a snapshot; its events can be had all the same."""
    (event,) = documents(now)
    snapshot = event["snapshot"]["replication"]
    assert snapshot["state"] == "STATE_COMPLETED"
    events = documents(from_the_start)
    assert [int(one["sequence"]) for one in events] == list(range(1, len(events) + 1))
    assert events[-1]["end"]["state"] == "STATE_COMPLETED"
    assert events[-1]["sequence"] == event["sequence"]


@pytest.mark.needs_tool("grpcurl")
def test_the_grpcurl_session_works_as_printed(
    installation: Installation, version: str, needs_tool: Callable[[str], str]
) -> None:
    output = run(installation, str(ROOT / "examples" / "grpcurl_session.sh"), version)
    services, described, found, now, watched, missing, wrong = parts(output)

    assert "stoa.catalog.v1.ImageVersionService" in services.splitlines()
    assert "grpc.health.v1.Health" in services.splitlines()
    assert "rpc CreateImageVersion" in described
    assert "google.longrunning.Operation" in described
    (document,) = documents(found)
    assert document["name"] == version
    status = document["replicationStatus"]
    assert status["aggregatedState"] == "AGGREGATED_REPLICATION_STATE_COMPLETED"
    check_watched(now, watched)
    assert "Code: NotFound" in missing
    assert '"@type": "type.googleapis.com/google.rpc.ErrorInfo"' in missing
    assert '"reason": "RESOURCE_NOT_FOUND"' in missing
    assert '"domain": "catalog.stoa.dev"' in missing
    assert "Code: InvalidArgument" in wrong
    assert '"@type": "type.googleapis.com/google.rpc.BadRequest"' in wrong
    for field in WRONG_FIELDS:
        assert f'"field": "{field}"' in wrong


def test_the_buf_curl_session_works_as_printed(installation: Installation, version: str) -> None:
    output = run(installation, str(ROOT / "examples" / "buf_curl_session.sh"), version)
    services, methods, found, now, watched, missing, wrong = parts(output)

    assert "stoa.catalog.v1.ImageVersionService" in services.splitlines()
    assert "stoa.catalog.v1.ImageVersionService/CreateImageVersion" in methods.splitlines()
    (document,) = documents(found)
    assert document["name"] == version
    check_watched(now, watched)
    code, details = error_of(missing)
    info = details["google.rpc.ErrorInfo"]
    assert (code, info["reason"]) == ("not_found", "RESOURCE_NOT_FOUND")
    assert info["domain"] == "catalog.stoa.dev"
    code, details = error_of(wrong)
    assert code == "invalid_argument"
    violations = details["google.rpc.BadRequest"]["fieldViolations"]
    assert {one["field"] for one in violations} >= WRONG_FIELDS


def test_the_example_in_python_publishes_and_watches(
    installation: Installation, shop: Shop, image: str
) -> None:
    output = run(
        installation,
        *(sys.executable, str(ROOT / "examples" / "publish_and_watch.py")),
        *("--definition", shop.definition, "--image", image, "--version", "3.0.0"),
        *("--home", "eastus", "--regions", "eastus", "eastus2", "westus"),
    )
    lines = output.splitlines()
    for region in ("eastus", "eastus2", "westus"):
        assert any(line.split()[-2:] == [region, "COMPLETED"] for line in lines), output
    assert lines[-1] == f"published {shop.definition}/versions/3.0.0"
