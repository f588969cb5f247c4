"""What a verification found."""

from __future__ import annotations

import enum
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.replication.content.errors import DataError, ObjectCorrupt, ObjectMissing


class Damage(enum.Enum):
    """What is wrong with something in a store."""

    MISSING = "missing"
    """It is named by something that is there, and is not there itself."""
    TRUNCATED = "truncated"
    """It is shorter than what names it says."""
    CORRUPT = "corrupt"
    """Its bytes are not those that its name or its checksum stands for."""
    UNKNOWN = "unknown"
    """The format has no such key, or it is no regular file."""
    UNREADABLE = "unreadable"
    """The medium or its permissions do not give it out."""


@dataclass(slots=True)
class Finding:
    """Something wrong; `affects` are the keys of the refs that rely on it."""

    key: str
    damage: Damage
    detail: str
    affects: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Report:
    """All that was found; `counts` tells how much of each kind there is."""

    address: str
    replica_id: str = ""
    findings: dict[str, Finding] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    read_bytes: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, key: str, damage: Damage, detail: str, affects: Iterable[str] = ()) -> None:
        """Note something wrong with what lies at a key; the first word about it stays."""
        self.findings.setdefault(key, Finding(key, damage, detail)).affects.update(affects)

    def add_error(
        self, key: str, error: DataError, affects: Iterable[str] = (), *, short: bool = False
    ) -> None:
        """Note what went wrong when a key was read; `short` tells of one that ends early."""
        if isinstance(error, ObjectMissing):
            damage = Damage.MISSING
        elif short:
            damage = Damage.TRUNCATED
        elif isinstance(error, ObjectCorrupt):
            damage = Damage.CORRUPT
        else:
            damage = Damage.UNREADABLE
        self.add(key, damage, str(error), affects)

    def document(self) -> dict[str, Any]:
        """Answer the report for JSON."""
        found = sorted(self.findings.values(), key=lambda one: one.key)
        return {
            "store": _printable(self.address),
            "replicaId": self.replica_id,
            "sound": self.is_sound,
            "counts": dict(sorted(self.counts.items())),
            "readBytes": self.read_bytes,
            "findings": [
                {
                    "key": _printable(one.key),
                    "damage": one.damage.value,
                    "detail": _printable(one.detail),
                    "affects": sorted(one.affects),
                }
                for one in found
            ],
        }


def _printable(text: str) -> str:
    """Answer a text of which any name in a file system may be a part, as one of Unicode."""
    return os.fsencode(text).decode(errors="backslashreplace")
