"""Maps that are never changed, only succeeded: what lets readers go without a lock.

A successor shares everything with its predecessor but the buckets that were written,
so one change among a million keys copies some thousand entries and not all of them.
A small map is a plain dict, which costs less to read and to keep than any wrapper.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar, overload

V = TypeVar("V")
D = TypeVar("D")

#: Up to this many entries one dict is copied as fast as buckets are.
_SMALL: Final = 64
#: Buckets are doubled past this many entries per bucket and bucket: the copying of one
#: bucket and of the row of buckets then grow alike, with the root of the size.
_DENSITY: Final = 16
#: A dict places by the low bits of the hash; choosing the bucket by them too would make
#: all keys of a bucket collide.
_SHIFT: Final = 40


class Buckets(Mapping[str, V]):
    """A large immutable map from strings, cut into dicts by the hash of the key."""

    __slots__ = ("_mask", "_size", "parts")

    def __init__(self, parts: tuple[dict[str, V], ...], size: int) -> None:
        self.parts: Final = parts
        self._mask: Final = len(parts) - 1
        self._size: Final = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        for part in self.parts:
            yield from part

    def __getitem__(self, key: str) -> V:
        return self.parts[(hash(key) >> _SHIFT) & self._mask][key]

    @overload
    def get(self, key: str, /) -> V | None: ...
    @overload
    def get(self, key: str, /, default: V | D) -> V | D: ...
    def get(self, key: str, /, default: object = None) -> object:
        """Answer the value of `key`; overridden because the inherited one is slow."""
        return self.parts[(hash(key) >> _SHIFT) & self._mask].get(key, default)


class MapEditor(Generic[V]):
    """A successor in the making; its predecessor is not touched."""

    __slots__ = ("_base", "_copied", "_mask", "_parts", "_size")

    def __init__(self, base: Mapping[str, V]) -> None:
        """Start from a map that `freeze` answered, or from an empty dict."""
        self._base = base
        self._size = len(base)
        if isinstance(base, Buckets):
            self._parts = list(base.parts)
        elif isinstance(base, dict):
            self._parts = [base]
        else:
            raise TypeError("only maps that an editor made can be edited")
        self._mask = len(self._parts) - 1
        self._copied: set[int] = set()

    def __len__(self) -> int:
        return self._size

    @property
    def is_edited(self) -> bool:
        """Whether anything was written."""
        return bool(self._copied)

    def get(self, key: str) -> V | None:
        """Answer the value of `key` as edited so far, or None."""
        return self._parts[(hash(key) >> _SHIFT) & self._mask].get(key)

    def set(self, key: str, value: V) -> None:
        """Set the value of `key`."""
        part = self._own(key)
        if key not in part:
            self._size += 1
        part[key] = value

    def pop(self, key: str) -> V | None:
        """Remove `key`; answer the value that it had, or None."""
        if self.get(key) is None:
            return None
        self._size -= 1
        return self._own(key).pop(key)

    def freeze(self) -> Mapping[str, V]:
        """Answer the successor and end the edit; the base itself where nothing was written."""
        if not self._copied:
            return self._base
        if self._size <= _SMALL and self._mask == 0:
            return self._parts[0]
        wanted = len(self._parts)
        while self._size > _DENSITY * wanted * wanted:
            wanted *= 2
        # Maps that only shrank keep their parts: an empty one costs little.
        if wanted != len(self._parts):
            self._spread(wanted)
        return Buckets(tuple(self._parts), self._size)

    def _own(self, key: str) -> dict[str, V]:
        index = (hash(key) >> _SHIFT) & self._mask
        if index not in self._copied:
            self._copied.add(index)
            self._parts[index] = self._parts[index].copy()
        return self._parts[index]

    def _spread(self, count: int) -> None:
        parts: list[dict[str, V]] = [{} for _ in range(count)]
        self._mask = count - 1
        for old in self._parts:
            for key, value in old.items():
                parts[(hash(key) >> _SHIFT) & self._mask][key] = value
        self._parts = parts
