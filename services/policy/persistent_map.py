"""A map that is never changed, only succeeded: what lets readers go without a lock.

A successor shares everything with its predecessor but the buckets that were written,
so one change among a million keys copies some thousand entries and not all of them.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

V = TypeVar("V")

#: Buckets are doubled past this many entries per bucket and bucket: the copying of one
#: bucket and of the row of buckets then grow alike, with the root of the size.
_DENSITY: Final = 16
#: A dict places by the low bits of the hash; choosing the bucket by them too would make
#: all keys of a bucket collide.
_SHIFT: Final = 40


class PersistentMap(Generic[V]):
    """An immutable map from strings; `edit` starts its successor."""

    __slots__ = ("_mask", "buckets", "size")

    def __init__(self, buckets: tuple[dict[str, V], ...] = ({},), size: int = 0) -> None:
        self.buckets = buckets
        self._mask = len(buckets) - 1
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[str]:
        for bucket in self.buckets:
            yield from bucket

    def get(self, key: str) -> V | None:
        """Answer the value of `key`, or None."""
        return self.buckets[(hash(key) >> _SHIFT) & self._mask].get(key)

    def items(self) -> Iterator[tuple[str, V]]:
        """Iterate over all entries, in no order."""
        for bucket in self.buckets:
            yield from bucket.items()

    def values(self) -> Iterator[V]:
        """Iterate over all values, in no order."""
        for bucket in self.buckets:
            yield from bucket.values()

    def of_any(self, keys: frozenset[str]) -> list[V]:
        """Answer the values of those of `keys` that are in the map."""
        if self.size <= len(keys):
            return [value for key, value in self.items() if key in keys]
        if self._mask == 0:
            (bucket,) = self.buckets
            return [bucket[key] for key in bucket.keys() & keys]
        found = (self.get(key) for key in keys)
        return [value for value in found if value is not None]

    def edit(self) -> "MapEditor[V]":
        """Start a successor."""
        return MapEditor(self)


class MapEditor(Generic[V]):
    """A successor in the making; its predecessor is not touched."""

    __slots__ = ("_base", "_buckets", "_copied", "_mask", "_size")

    def __init__(self, base: PersistentMap[V]) -> None:
        self._base = base
        self._buckets = list(base.buckets)
        self._mask = len(base.buckets) - 1
        self._size = base.size
        self._copied: set[int] = set()

    def __len__(self) -> int:
        return self._size

    def get(self, key: str) -> V | None:
        """Answer the value of `key` as edited so far, or None."""
        return self._buckets[(hash(key) >> _SHIFT) & self._mask].get(key)

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets:
            yield from bucket

    def set(self, key: str, value: V) -> None:
        """Set the value of `key`."""
        bucket = self._own(key)
        if key not in bucket:
            self._size += 1
        bucket[key] = value

    def pop(self, key: str) -> V | None:
        """Remove `key`; answer the value that it had, or None."""
        if self.get(key) is None:
            return None
        self._size -= 1
        return self._own(key).pop(key)

    def freeze(self) -> PersistentMap[V]:
        """Answer the successor; the predecessor itself where nothing was written."""
        if not self._copied:
            return self._base
        wanted = len(self._buckets)
        while self._size > _DENSITY * wanted * wanted:
            wanted *= 2
        # Maps that only shrank keep their buckets: an empty one costs eight bytes.
        if wanted != len(self._buckets):
            self._spread(wanted)
        frozen = PersistentMap(tuple(self._buckets), self._size)
        self._base = frozen
        self._copied = set()
        return frozen

    def _own(self, key: str) -> dict[str, V]:
        index = (hash(key) >> _SHIFT) & self._mask
        if index not in self._copied:
            self._copied.add(index)
            self._buckets[index] = self._buckets[index].copy()
        return self._buckets[index]

    def _spread(self, count: int) -> None:
        buckets: list[dict[str, V]] = [{} for _ in range(count)]
        self._mask = count - 1
        for old in self._buckets:
            for key, value in old.items():
                buckets[(hash(key) >> _SHIFT) & self._mask][key] = value
        self._buckets = buckets
