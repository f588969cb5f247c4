"""Tombstones: lists of objects that nothing refers to, kept in the store that holds them.

Every writer asks `keep` before it relies on objects, those that it found there included: what it
names is taken off the lists by compare-and-swap, or refused where it is being deleted at that
moment, and the writer tries again. So a collector and writers need no lock (replication.md 2.12).
A list goes through three states: `waiting`, `deleting`, and `deleted`, in which it stays for a
while, since a writer may have seen an object just before it went.
"""

from __future__ import annotations

import contextlib
import enum
import json
import threading
import uuid
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from services.replication.content.errors import InvalidEncoding, RefConflict, StoreBusy
from services.replication.content.keys import (
    CLOCK,
    TOMBSTONES,
    manifest_key,
    object_key,
    tombstones_key,
)
from services.replication.content.manifest import Manifest
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store

UNDATED: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""The time of a list that has just been written: it waits until it is dated."""

LIST_KEYS: Final = 5000
"""The most objects of one list: it stays below the mebibyte that a ref may have."""

_ATTEMPTS: Final = 10
_CLOCK_KEY: Final = f"{CLOCK}/now"


class State(enum.Enum):
    """What became of the objects of a list."""

    WAITING = "waiting"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Tombstones:
    """A list; `time` is when it could be seen, by the clock of the database, as jobs have it."""

    state: State
    time: datetime
    keys: tuple[str, ...]

    def encode(self) -> bytes:
        """Return the canonical JSON of the list."""
        fields = {
            "format": 1,
            "state": self.state.value,
            "time": self.time.isoformat(),
            "keys": list(self.keys),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as it was read; `tag` proves so, `modified_time` is by the store's clock."""

    key: str
    tag: str
    modified_time: datetime
    content: Tombstones


def decode_tombstones(data: bytes) -> Tombstones:
    """Decode a list; raises InvalidEncoding."""
    try:
        fields = json.loads(data)
        if fields["format"] != 1:
            raise InvalidEncoding("not tombstones of format version 1")
        return Tombstones(
            State(fields["state"]),
            datetime.fromisoformat(fields["time"]),
            tuple(str(key) for key in fields["keys"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEncoding("not tombstones") from error


def read_tombstones(store: Store) -> Iterator[Listed]:
    """Yield every list; InvalidEncoding where one cannot be read."""
    for item in store.list_objects(TOMBSTONES):
        stored = store.get_ref(item.key)
        if stored is not None:
            content = decode_tombstones(stored.data)
            yield Listed(item.key, stored.tag, item.modified_time, content)


def bury(store: Store, keys: Sequence[str], now: Callable[[], datetime]) -> None:
    """Put objects on new lists, and date them once they can be seen.

    A job that began before that may have asked for its objects before they were on the list.
    """
    for start in range(0, len(keys), LIST_KEYS):
        content = Tombstones(State.WAITING, UNDATED, tuple(keys[start : start + LIST_KEYS]))
        key = tombstones_key(uuid.uuid4().hex)
        tag = store.put_ref(key, content.encode(), expected=None)
        date(store, key, tag, content=replace(content, time=now()))


def date(store: Store, key: str, tag: str, *, content: Tombstones) -> None:
    """Write a list with its time, unless a writer has changed it: then the next round does."""
    with contextlib.suppress(RefConflict):
        store.put_ref(key, content.encode(), expected=tag)


def keep(store: Store, keys: Collection[str]) -> None:
    """Make sure that objects stay: call it before anything durable relies on them.

    Raises:
        StoreBusy: one of them is being deleted, or was; look again and write what is missing.
    """
    wanted = {_mark(key): key for key in keys}
    for item in store.list_objects(TOMBSTONES):
        known = _known.of(store, item.key)
        if known is None or any(_holds(known, mark) for mark in wanted):
            _take_off(store, item.key, set(wanted.values()))


def keep_content(store: Store, tenant: str, root: bytes) -> None:
    """Make sure that all of a disk stays; StoreBusy as `keep`."""
    if next(iter(store.list_objects(TOMBSTONES)), None) is not None:
        keep(store, content_keys(tenant, read_manifest(store, tenant, root)))


def content_keys(tenant: str, manifest: Manifest) -> set[str]:
    """Return the keys of a manifest and of every object that it leads to."""
    found = {manifest_key(tenant, manifest.root)}
    found.update(object_key(tenant, page.digest) for page in manifest.pages())
    for segment in manifest.segments():
        found.update(object_key(tenant, extent.digest) for extent in segment.extents)
    return found


def store_now(store: Store) -> datetime:
    """Return the time by the clock that stamps what is written into the store."""
    stored = store.get_ref(_CLOCK_KEY)
    store.put_ref(
        _CLOCK_KEY,
        uuid.uuid4().hex.encode(),
        expected=None if stored is None else stored.tag,
    )
    return max(item.modified_time for item in store.list_objects(CLOCK))


def _take_off(store: Store, key: str, wanted: set[str]) -> None:
    for attempt in range(_ATTEMPTS):
        stored = store.get_ref(key)
        if stored is None:
            raise StoreBusy(f"{key} was done with just now")
        content = decode_tombstones(stored.data)
        _known.learn(store, key, content)
        hit = wanted & set(content.keys)
        if not hit:
            return
        match content.state:
            case State.DELETING:
                raise StoreBusy(f"{min(hit)} is being collected")
            case State.DELETED:
                gone = [one for one in sorted(hit) if store.length(one) is None]
                if gone:
                    raise StoreBusy(f"{gone[0]} was collected just now")
                return
            case State.WAITING:
                left = replace(content, keys=tuple(k for k in content.keys if k not in hit))
        try:
            store.put_ref(key, left.encode(), expected=stored.tag)
            return
        except RefConflict:
            if attempt == _ATTEMPTS - 1:
                raise


def _mark(key: str) -> int:
    return int(key.rsplit("/", 1)[1][:16], 16)


def _holds(marks: array[int], mark: int) -> bool:
    at = bisect_left(marks, mark)
    return at < len(marks) and marks[at] == mark


class _Known:
    """What lists were made with: they only lose objects, so what was not on one never is."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._marks: Final[dict[tuple[str, str], array[int]]] = {}

    def of(self, store: Store, key: str) -> array[int] | None:
        """Return the first 64 bits of each name of a list, sorted; None where it is not known."""
        with self._lock:
            return self._marks.get((store.replica_id, key))

    def learn(self, store: Store, key: str, content: Tombstones) -> None:
        """Remember a list, and forget the oldest beyond what memory is for."""
        marks = array("Q", sorted(_mark(one) for one in content.keys))
        with self._lock:
            self._marks[store.replica_id, key] = marks
            while len(self._marks) > _KNOWN_LISTS:
                del self._marks[next(iter(self._marks))]


_KNOWN_LISTS: Final = 1000
_known: Final = _Known()
