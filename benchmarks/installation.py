"""An installation to measure, started as a user starts one and set up by the `stoa` command."""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOA = str(Path(sys.executable).with_name("stoa"))


@dataclass(frozen=True)
class Installation:
    data: Path

    def stoa(self, *arguments: str) -> Any:
        """Run the command; answer what it prints as JSON."""
        done = subprocess.run(
            [STOA, *arguments, "--output", "json", "--quiet"],
            env=os.environ | {"STOA_HOME": str(self.data)},
            check=True,
            stdout=subprocess.PIPE,
        )
        return json.loads(done.stdout or "null")

    def text(self, *arguments: str) -> str:
        """Run the command; answer what it prints."""
        environment = os.environ | {"STOA_HOME": str(self.data)}
        done = subprocess.run(
            [STOA, *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    @property
    def client(self) -> dict[str, Any]:
        """What clients are told: endpoints, tenant, subscription, owner."""
        return tomllib.loads((self.data / "client.toml").read_text())

    def endpoint(self, service: str) -> str:
        return str(self.client["endpoints"][service]).rpartition("//")[2]

    def token(self, *arguments: str) -> str:
        return self.text("token", *arguments)


@contextmanager
def installation(**settings: str) -> Iterator[Installation]:
    """Start the three services in a folder that goes away; `settings` are their environment."""
    with tempfile.TemporaryDirectory(prefix="stoa-bench-") as folder:
        data = Path(folder) / "data"
        environment = os.environ | {"STOA_HOME": str(data)} | settings
        up = [STOA, "--quiet", "up", "--detach", "--data", str(data), "--ports", "auto"]
        subprocess.run(up, env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            yield Installation(data)
        finally:
            down = [STOA, "--quiet", "down", "--data", str(data)]
            subprocess.run(down, env=environment, check=True, stdout=subprocess.DEVNULL)


def with_image(one: Installation) -> str:
    """Create what a version needs and one small version; answer its name."""
    disk = one.data / "os.raw"
    disk.write_bytes(os.urandom(8 << 20))
    where = ("-g", "bench", "--location", "east")
    one.stoa("region", "create", "--name", "east", "--slots", "1")
    one.stoa("group", "create", "--name", "bench", "--location", "east")
    one.stoa("gallery", "create", *where, "-r", "golden")
    definition = (*where, "-r", "golden", "-i", "linux")
    identity = ("--publisher", "Contoso", "--offer", "Base", "--sku", "Server")
    one.stoa("image-definition", "create", *definition, *identity, "--os-type", "Linux")
    one.stoa("blob", "upload", *where, "--name", "os", "--file", str(disk))
    one.stoa("managed-image", "create", *where, "--name", "base", "--os-blob", "os")
    one.stoa("image-version", "create", *definition, "-e", "1.0.0", "--managed-image", "base")
    group = f"subscriptions/{one.client['client']['subscription']}/resourceGroups/bench"
    return f"{group}/galleries/golden/images/linux/versions/1.0.0"
