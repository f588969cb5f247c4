"""Where a file of 33 TiB can be made: it is a hole, but few file systems have such offsets."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

LARGEST: Final = 33 << 40


@contextmanager
def large_files(folder: Path) -> Iterator[Path]:
    """Keep a directory for such files: in `folder`, or in memory; skip where neither takes them.

    Files of ext4 end at 16 TiB. Where STOA_REQUIRE_TOOLS is 1, a machine that takes none fails.
    """
    for parent in (folder, Path("/dev/shm")):
        made = parent / f"large-{uuid.uuid4().hex}"
        if _takes(made):
            try:
                yield made
            finally:
                shutil.rmtree(made)
            return
    reason = "no file system here takes a file of 33 TiB: mount a tmpfs at /dev/shm"
    if os.environ.get("STOA_REQUIRE_TOOLS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _takes(folder: Path) -> bool:
    try:
        folder.mkdir()
    except OSError:
        return False
    probe = folder / "probe"
    try:
        with probe.open("wb") as file:
            file.truncate(LARGEST + 512)
    except OSError:
        shutil.rmtree(folder)
        return False
    probe.unlink()
    return True
