"""The port to a region store: what the algorithms need of a directory or a bucket."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


class PutOutcome(enum.Enum):
    """What became of an object that was put."""

    WRITTEN = "written"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as listed; `modified_time` is by the store's clock, in UTC."""

    key: str
    length: int
    modified_time: datetime.datetime


@dataclass(frozen=True, slots=True)
class StoredRef:
    """The bytes of a ref and the tag by which its next writer proves to have read them."""

    data: bytes
    tag: str


class ObjectWriter(Protocol):
    """Takes objects, from many threads at once."""

    def put(self, key: str, parts: Sequence[memoryview], *, aligned: bool = False) -> PutOutcome:
        """Write the parts as one object unless one of that length is there already.

        An object of another length is quarantined first. PRESENT promises the length alone: the
        caller verifies the content. `aligned` says that every part begins on a memory page and,
        but for the last, ends on one. The parts may be reused as soon as the call returns.

        Raises:
            StoreFull, StoreIoError, StoreAccessDenied, StoreUnavailable: nothing is promised for
                any object of this window.
        """


class Window(ObjectWriter, Protocol):
    """A group of objects that becomes durable together.

    Leaving the context without commit abandons the window: what it wrote is dropped.
    """

    def commit(self) -> None:
        """Make every object of the window durable and visible; call it once, from one thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Reservation(Protocol):
    """Room promised to one task of this process; dropped when its context ends."""

    def use(self, length: int) -> None:
        """Tell that `length` bytes of the promise are written and show in the free space."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ObjectReader(Protocol):
    """Gives the bytes of objects; may be called from any thread."""

    def length(self, key: str) -> int | None:
        """Return the length of an object in bytes, or None where there is none."""

    def read(self, key: str, *, limit: int) -> bytes:
        """Return a small object whole; ObjectMissing, ObjectCorrupt above `limit` bytes."""

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        """Fill `target` from `offset`; ObjectMissing, ObjectCorrupt where the object ends early.

        `uncached` asks for the bytes of the medium, not of a cache, as far as that can be had.
        """


class Store(ObjectReader, Protocol):
    """One replica slot. Every method may be called from any thread, and may block.

    Every method raises the errors of `errors.py`: StoreUnavailable, StoreIoError,
    StoreAccessDenied, and ReplicaMismatch where the store turns out to be another one.
    """

    @property
    def url(self) -> str:
        """The address that the store was opened with, without secrets."""

    @property
    def replica_id(self) -> str:
        """The random id that the store was given when it was initialised."""

    def begin(self, task: str) -> Window:
        """Begin a group of objects on behalf of `task`."""

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects below `prefix`, a key or part of one that ends before a slash."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that do not exist are passed over."""

    def quarantine(self, key: str) -> None:
        """Move an object that failed verification aside; nothing happens if it is gone."""

    def get_ref(self, key: str) -> StoredRef | None:
        """Return a ref with its tag, or None."""

    def put_ref(self, key: str, data: bytes, *, expected: str | None) -> str:
        """Write a ref durably if its tag is still `expected` (None: if it does not exist).

        Returns the new tag; raises RefConflict.
        """

    def delete_ref(self, key: str, *, expected: str) -> None:
        """Delete a ref durably if its tag is still `expected`; raises RefConflict."""

    def free_bytes(self) -> int | None:
        """Return the bytes that can still be reserved; None where there is no such limit."""

    def reserve(self, length: int) -> Reservation:
        """Promise `length` bytes to a task; StoreFull where there is not enough room."""

    def sweep_temporary(self, *, older_than: float, live_tasks: Container[str]) -> int:
        """Delete what attempts older than `older_than` seconds of tasks not live have left.

        Returns the bytes given back.
        """

    def close(self) -> None:
        """Let go of the store."""
