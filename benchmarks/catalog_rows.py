"""Makes many versions of one: rows as the catalog writes them, straight into its SQLite file.

    python -m benchmarks.catalog_rows catalog.db NAME COUNT

The version NAME is the pattern: what it says of its disks, regions and status is said of all. They
are numbered 1000.1000.0, 1000.1001.0 and on, each created and published a second after the one
before. Usage is not counted. The service may run meanwhile.
"""

import json
import sqlite3
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import image_version_pb2

START = 1_700_000_000
TIMES = ("create_time", "update_time", "publish_time")
# As long as every other one, so that serialized messages need no new lengths.
PLACEHOLDER = 8_999_999
TOGETHER = 20_000


@dataclass(frozen=True)
class Numbered:
    """What tells one version from another."""

    definition: str
    index: int

    @property
    def number(self) -> tuple[int, int, int]:
        return 1000 + self.index // 1000, 1000 + self.index % 1000, 0

    @property
    def text(self) -> str:
        return ".".join(map(str, self.number))

    @property
    def name(self) -> str:
        return f"{self.definition}/versions/{self.text}"

    @property
    def uid(self) -> str:
        return f"{self.index:032x}"

    @property
    def seconds(self) -> int:
        return START + self.index

    def columns(self) -> dict[str, Any]:
        """The columns that hold nothing else."""
        key, (major, minor, patch) = self.name.lower(), self.number
        padded = ".".join(f"{part:010}" for part in self.number)
        return {
            "key": key,
            "ordered_key": f"{self.definition.lower()}/versions/{padded}",
            "name": self.name,
            "uid": self.uid,
            "major": major,
            "minor": minor,
            "patch": patch,
            "version_key": key,
            "version_uid": self.uid,
            **dict.fromkeys(TIMES, self.seconds * 1_000_000),
        }

    def in_message(self) -> tuple[bytes, ...]:
        """The parts of a serialized version that are its own."""
        time = Timestamp(seconds=self.seconds).SerializeToString()
        return self.name.encode(), self.uid.encode(), time

    def in_document(self) -> tuple[str, ...]:
        """The parts of the stored document that are its own."""
        number = json.dumps(list(self.number))
        return self.name, self.uid, number, str(self.seconds * 1_000_000)


class Pattern:
    """A row of one table, of which others are made."""

    def __init__(self, row: sqlite3.Row, like: Numbered) -> None:
        self.columns = row.keys()
        self._own = set(like.columns()) & set(self.columns)
        self._row = dict(row)
        self._like = like
        self._message = b""
        self._document = ""
        if "body" in self._row:
            message = image_version_pb2.ImageVersion.FromString(self._row["body"])
            message.name, message.uid = like.name, like.uid
            for field in TIMES:
                getattr(message, field).FromSeconds(like.seconds)
            self._message = message.SerializeToString()
            document = json.loads(self._row["document"])
            document |= {"name": like.name, "uid": like.uid, "number": list(like.number)}
            document |= dict.fromkeys(TIMES, like.seconds * 1_000_000)
            self._document = json.dumps(document)

    def row(self, one: Numbered) -> tuple[Any, ...]:
        values = self._row | {
            name: value for name, value in one.columns().items() if name in self._own
        }
        if self._message:
            message, document = self._message, self._document
            for old, new in zip(self._like.in_message(), one.in_message(), strict=True):
                message = message.replace(old, new)
            for before, after in zip(self._like.in_document(), one.in_document(), strict=True):
                document = document.replace(before, after)
            values |= {"body": message, "document": document}
        return tuple(values.values())

    def insert(self, table: str) -> str:
        places = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {table} ({', '.join(self.columns)}) VALUES ({places})"  # noqa: S608


def multiply(database: Path, name: str, count: int) -> list[str]:
    """Add `count` versions beside the one of this name; answer some names, from first to last."""
    definition, _, _ = name.rpartition("/versions/")
    connection = sqlite3.connect(database, isolation_level=None, timeout=60)
    connection.row_factory = sqlite3.Row
    try:
        (found,) = connection.execute("SELECT * FROM image_versions WHERE key = ?", [name.lower()])
        regions = connection.execute(
            "SELECT * FROM version_regions WHERE version_uid = ?", [found["uid"]]
        ).fetchall()
        for pragma in ("synchronous = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}")
        like = Numbered(definition, PLACEHOLDER)
        patterns = [("image_versions", Pattern(found, like))]
        patterns += [("version_regions", Pattern(row, like)) for row in regions]
        # Not all at once: the journal would become as large as the database.
        for start in range(0, count, TOGETHER):
            numbered = [
                Numbered(definition, index) for index in range(start, min(start + TOGETHER, count))
            ]
            connection.execute("BEGIN IMMEDIATE")
            for table, pattern in patterns:
                connection.executemany(pattern.insert(table), map(pattern.row, numbered))
            connection.execute("COMMIT")
    finally:
        connection.close()
    return [Numbered(definition, index).name for index in (0, count // 2, count - 1)]


if __name__ == "__main__":
    began = datetime.now(UTC)
    first, middle, last = multiply(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print(f"{sys.argv[3]} versions in {datetime.now(UTC) - began}: {first} to {last}")
