"""What lies in the directories of a region, as docs/reference/store-format.md says."""

import json
from pathlib import Path
from typing import Any, Final


class StoreFiles:
    """The files of one slot, read past the services."""

    def __init__(self, root: Path) -> None:
        self.root: Final = root

    def objects(self) -> dict[str, tuple[int, int]]:
        """Inode and time of each object by its key: one written again has others."""
        found = {}
        for file in self._files("objects"):
            state = file.stat()
            found[str(file.relative_to(self.root))] = (state.st_ino, state.st_mtime_ns)
        return found

    def object_bytes(self) -> int:
        return sum(file.stat().st_size for file in self._files("objects"))

    def journals(self) -> list[str]:
        """The windows that unfinished copies have made durable."""
        return [str(file.relative_to(self.root)) for file in self._files("journals")]

    def ref(self, version_uid: str) -> dict[str, Any] | None:
        """The commit of a version; None while there is none."""
        try:
            found: dict[str, Any] = json.loads((self.root / "refs" / version_uid).read_text())
        except FileNotFoundError:
            return None
        return found

    def _files(self, kind: str) -> list[Path]:
        return [file for file in (self.root / kind).rglob("*") if file.is_file()]
