"""README.md tells the truth: its commands, pasted into a shell, print what it shows."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.system import readme
from tests.system.disks import sparse
from tests.system.installation import Installation, installed

pytestmark = pytest.mark.timeout(300)

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
# The endpoints of an installation whose ports nobody chose.
ENDPOINTS: Final = {
    "catalog": "127.0.0.1:7401",
    "replication": "127.0.0.1:7402",
    "authz": "127.0.0.1:7403",
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("readme")) as found:
        yield found


def test_the_commands_print_what_is_shown(
    fresh: Installation, tmp_path: Path, needs_tool: Callable[[str], str]
) -> None:
    needs_tool("grpcurl")
    blocks = readme.blocks(README.read_text(), "An image of your own", "From any language")
    assert sum(block.output is not None for block in blocks) >= 5
    (tmp_path / "disk.img").write_bytes(sparse(16, 2, 71).content)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOA_")}
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "STOA_HOME": str(fresh.layout.data),
        "STOA_CONTEXTS": str(tmp_path / "contexts"),
    }
    replaced = {shown: fresh.view.endpoints[name] for name, shown in ENDPOINTS.items()}

    printed = readme.run([block.commands for block in blocks], tmp_path, kept | environ, replaced)

    assert len(printed) == len(blocks)
    for block, found in zip(blocks, printed, strict=True):
        if block.output is not None:
            assert readme.same(block.output, found), f"{block.commands}\n{found}"


def test_an_output_that_differs_is_noticed() -> None:
    assert readme.same('a\n...\n"etag": "x"\n', 'a\nb\nc\n"etag": "x"\n')
    assert readme.same('"uid": "0123456789abcdef0123456789abcdef"\n', f'"uid": "{"f" * 32}"')
    assert not readme.same('a\n...\n"etag": "x"\n', "a\nb\nc\n")
    assert not readme.same("a\nb\n", "a\nb\nc\n")


def test_it_stays_short() -> None:
    assert len(README.read_text().splitlines()) <= 150
