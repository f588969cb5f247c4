"""What is pulled from a region starts a machine, whatever format it was published in."""

import uuid
from pathlib import Path

import pytest

from tests.system.bootable import TOOLS, boot, convert, make_disk, supported
from tests.system.installation import Installation
from tests.system.publishing import make_shop, unique

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.needs_tool(*TOOLS),
    pytest.mark.skipif(not supported(), reason="the kernel that is booted is for x86-64"),
]

MARKER = f"stoa.marker={uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("bootable"), MARKER)


@pytest.fixture(scope="module")
def definition(installation: Installation) -> list[str]:
    """The options that name a definition."""
    shop = make_shop(installation.client())
    _, _, _, group, _, gallery, _, name = shop.definition.split("/")
    return ["-g", group, "-r", gallery, "-i", name]


@pytest.mark.parametrize("form", ["vhd_fixed", "qcow2"])
def test_a_disk_that_is_pulled_boots(
    installation: Installation, definition: list[str], disk: Path, tmp_path: Path, form: str
) -> None:
    uploaded = convert(disk, tmp_path / f"uploaded.{form}", form)
    blob = unique("boots")
    group = definition[:2]
    installation.stoa(
        *("blob", "upload", *group, "-n", blob, "-l", "eastus"),
        *("-f", str(uploaded), "--format", form),
    )
    number = "1.0.0" if form == "qcow2" else "1.1.0"
    installation.stoa(
        *("image-version", "create", *definition, "-e", number),
        *("--os-blob", blob, "--target-regions", "eastus", "westus"),
    )
    pulled = tmp_path / "pulled.raw"
    installation.stoa(
        *("image-version", "pull", *definition, "-e", number, "-l", "westus", "-f", str(pulled))
    )

    assert pulled.read_bytes() == disk.read_bytes()
    assert MARKER in boot(pulled, "raw")
