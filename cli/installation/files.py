"""Writes the files of an installation: whole or not at all, and secret ones for the owner alone."""

import os
from pathlib import Path


def write_secret(file: Path, content: str | bytes) -> None:
    """Write a file that nobody but its owner may read."""
    _write(file, content, 0o600)


def write_public(file: Path, content: str | bytes) -> None:
    """Write a file that everybody may read."""
    _write(file, content, 0o644)


def private_folder(folder: Path) -> None:
    """Make a folder that nobody but its owner may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(file: Path, content: str | bytes, mode: int) -> None:
    # A reader sees the old file or the new one, and at no moment one that others may read.
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(file)
