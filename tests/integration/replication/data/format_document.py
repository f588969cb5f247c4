"""A reader of stores made from docs/reference/store-format.md, with struct and blake3 alone.

Nothing of the services is imported here: names, places and sizes of fields, contexts of digests and
keys are taken from the tables of the document, so that it cannot say anything else than what is so.
"""

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

DOCUMENT: Final = Path(__file__).parents[4] / "docs" / "reference" / "store-format.md"
_CODES: Final = {2: "H", 4: "I", 8: "Q"}
_ZERO: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Field:
    """A row of a table: where a field begins, how long it is, and what the document calls it."""

    offset: int
    size: int
    text: str

    @property
    def constant(self) -> bytes | int | None:
        """What the field must hold, where the document says so."""
        if self.text == "zero":
            return 0
        literal = re.fullmatch(r"`([A-Z]{8})`", self.text)
        if literal is not None:
            return literal[1].encode()
        number = re.fullmatch(r"[a-z ]+: ([0-9,]+)", self.text)
        return int(number[1].replace(",", "")) if number is not None else None


@dataclass(frozen=True, slots=True)
class Layout:
    """A structure of fixed length."""

    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.fields[-1].offset + self.fields[-1].size

    def read(self, data: bytes, at: int = 0) -> "Values":
        """Read one, and check what the document says is always so."""
        code = "<"
        for place, field in enumerate(self.fields):
            before = self.fields[place - 1]
            assert field.offset == (before.offset + before.size if place else 0), field
            code += f"{field.size}s" if isinstance(field.constant, bytes) else _code(field)
        values = struct.unpack_from(code, data, at)
        for field, value in zip(self.fields, values, strict=True):
            if field.constant == 0 and isinstance(value, bytes):
                assert not any(value), field
            elif field.constant is not None:
                assert value == field.constant, field
        return Values(self.fields, values)


@dataclass(frozen=True, slots=True)
class Values:
    """What a structure holds, found by words of the document."""

    fields: tuple[Field, ...]
    values: tuple[Any, ...]

    def __getitem__(self, words: str) -> Any:
        """Answer the one field that the document describes with these words."""
        pairs = zip(self.fields, self.values, strict=True)
        (found,) = [value for field, value in pairs if field.text.startswith(words)]
        return found


class Format:
    """The document, read."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        sections = re.split(r"^#{2,3} ", text, flags=re.MULTILINE)
        self._sections: Final = {one.partition("\n")[0]: one for one in sections}
        self.manifest, self.segment, self.extent, self.page = self._layouts("Manifest")
        self.leaf_page, self.leaf_entry = self._layouts("Leaf page")
        self.journal, self.journal_entry = self._layouts("Journals")
        contexts = re.findall(r'^\| ([a-z ]+) \| `D\("([^"]+)"', text, flags=re.MULTILINE)
        self.contexts: Final = dict(contexts)

    def known_keys(self) -> list[str]:
        """The keys of the table, with their parts in angle brackets."""
        rows = [row for row in self._sections["Keys"].splitlines() if row.startswith("| `")]
        return [key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])]

    def code(self, key: str) -> str:
        """The first text in backticks that the table says the content of a key to be."""
        rows = self._sections["Keys"].splitlines()
        (row,) = [row for row in rows if row.startswith(f"| `{key}`")]
        return str(re.findall(r"`([^`]+)`", row)[1])

    def examples(self, section: str) -> list[Any]:
        """The lines of JSON in a section."""
        lines = self._sections[section].splitlines()
        return [json.loads(line) for line in lines if line.startswith("    {")]

    def derived(self, what: str, data: bytes) -> bytes:
        """The digest of a kind of thing."""
        return blake3(data, derive_key_context=self.contexts[what]).digest()

    def _layouts(self, section: str) -> list[Layout]:
        """The tables of a section that begin at offset 0; fields of variable length end one."""
        tables = re.split(r"^\| Offset.*\n\|[-|]+\n", self._sections[section], flags=re.MULTILINE)
        found = []
        for table in tables[1:]:
            fields = []
            for row in table.splitlines():
                cells = [cell.strip() for cell in row.strip("|").split("|")]
                if not (row.startswith("|") and cells[0].isdigit() and cells[1].isdigit()):
                    break
                fields.append(Field(int(cells[0]), int(cells[1]), cells[2]))
            found.append(Layout(tuple(fields)))
        return found


class Reader:
    """Reads a store in a directory, and checks every digest on the way."""

    def __init__(self, store: Path, document: Format) -> None:
        self._store: Final = store
        self._format: Final = document

    def disk(self, tenant: str, root: str) -> tuple[int, dict[int, bytes]]:
        """The size of the disk with this image root, and its segments that are not holes."""
        form = self._format
        data = (self._store / "manifests" / tenant / root).read_bytes()
        assert form.derived("manifest checksum", data[:-32]) == data[-32:]
        head = form.manifest.read(data)
        segments, at = self._records(data, form.manifest.size, form.segment, head["S:"])
        extents, at = self._records(data, at, form.extent, head["E:"])
        pages, at = self._records(data, at, form.page, head["P:"])
        assert at + 32 == len(data)
        identity = struct.pack(
            "<HHIIIQ",
            *(head["disk format"], 0, head["sector size"]),
            *(head["leaf size"], head["segment size"], head["logical size"]),
        )
        entries = b"".join(
            struct.pack("<I32s", one["index"], one["segment digest"]) for one in segments
        )
        assert form.derived("image root", identity + entries).hex() == root
        leaves = dict(self._leaves(tenant, pages))
        assert set(leaves) == {one["index"] for one in segments}
        disk: dict[int, bytes] = {}
        for one in segments:
            length, digests = leaves[one["index"]]
            listed = struct.pack("<II", length, len(digests)) + b"".join(digests)
            assert form.derived("segment", listed) == one["segment digest"]
            packed = self._packed(tenant, one, extents)
            assert len(packed) == one["packed length"]
            disk[one["index"]] = unpacked(packed, length, digests, head["leaf size"])
        return head["logical size"], disk

    def journal(self, data: bytes) -> tuple[Values, list[tuple[Values, list[bytes]]]]:
        """The header of a journal, and its entries with their leaf digests."""
        form = self._format
        assert form.derived("journal checksum", data[:-32]) == data[-32:]
        head = form.journal.read(data)
        at, entries = form.journal.size, []
        for _ in range(head["number of entries"]):
            entry = form.journal_entry.read(data, at)
            at += form.journal_entry.size
            digests = [data[at + 32 * n : at + 32 * n + 32] for n in range(entry["N:"])]
            at += 32 * len(digests)
            # The fourth field has the flags; with 2 the extents follow that replace an object.
            if entry.values[3] & 2:
                _, extents = struct.unpack_from("<II", data, at)
                at += 8 + 44 * extents
            entries.append((entry, digests))
        assert at + 32 == len(data)
        return head, entries

    def _records(
        self, data: bytes, at: int, layout: Layout, count: int
    ) -> tuple[list[Values], int]:
        found = [layout.read(data, at + number * layout.size) for number in range(count)]
        return found, at + count * layout.size

    def _object(self, tenant: str, digest: bytes) -> bytes:
        name = digest.hex()
        return (self._store / "objects" / tenant / name[:2] / name[2:4] / name).read_bytes()

    def _leaves(
        self, tenant: str, pages: Sequence[Values]
    ) -> Iterator[tuple[int, tuple[int, list[bytes]]]]:
        form = self._format
        for page in pages:
            data = self._object(tenant, page["digest that names the leaf page"])
            assert len(data) == page["length of the leaf page"]
            assert form.derived("leaf page", data) == page["digest that names the leaf page"]
            at = form.leaf_page.size
            for _ in range(form.leaf_page.read(data)["number of entries"]):
                entry = form.leaf_entry.read(data, at)
                at += form.leaf_entry.size
                digests = [data[at + 32 * n : at + 32 * n + 32] for n in range(entry["N:"])]
                at += 32 * len(digests)
                index = page["group"] * 256 + entry["position in the group"]
                yield index, (entry["length of the segment"], digests)
            assert at == len(data)

    def _packed(self, tenant: str, segment: Values, extents: Sequence[Values]) -> bytes:
        count = segment["count of extent records"]
        first = segment["number of the first extent record"]
        if count == 0:
            assert first == 0
            return self._object(tenant, segment["segment digest"])
        found = b""
        for one in extents[first : first + count]:
            assert one["codec"] == 0
            start, length = one["offset in the object"], one["length in bytes"]
            found += self._object(tenant, one["digest that names the object"])[start:][:length]
        return found


def unpacked(packed: bytes, length: int, digests: Sequence[bytes], leaf: int) -> bytes:
    """The bytes of a segment: its leaves in order, those that are zero put back."""
    found, at = b"", 0
    for number, digest in enumerate(digests):
        size = min(leaf, length - number * leaf)
        if digest == _ZERO:
            found += bytes(size)
            continue
        piece = packed[at : at + size]
        assert blake3(piece).digest() == digest
        found += piece
        at += size
    assert at == len(packed)
    return found


def _code(field: Field) -> str:
    return _CODES.get(field.size, f"{field.size}s")
