"""A replica slot in a bucket: S3, Google Cloud Storage or Azure Blob Storage, through obstore.

A put is durable once it is acknowledged, so a window has nothing to commit. Objects are created
only where there is none (If-None-Match), refs replaced only where the ETag is the one read
(If-Match).
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    PreconditionError,
)

from services.replication.content.errors import (
    ObjectCorrupt,
    ObjectMissing,
    RefConflict,
    StoreUnavailable,
)
from services.replication.content.keys import QUARANTINE, split_key
from services.replication.content.store import PutOutcome, Reservation, StoredObject, StoredRef
from services.replication.stores.bucket import get, identify_bucket, mapped
from services.replication.stores.pace import Pace
from services.replication.stores.reservations import Reservations

if TYPE_CHECKING:
    # These exist for type checkers alone.
    from obstore import UpdateVersion
    from obstore.store import ObjectStore as Client

T = TypeVar("T")

_REF_LIMIT: Final = 1 << 20


class ObjectStore:
    """A bucket, or a prefix of one, as a store; see `content.store.Store`."""

    def __init__(self, client: Client, url: str, *, replica_id: str | None = None) -> None:
        """Open an initialised store; raises ReplicaMismatch and UnsupportedStore."""
        self._client: Final = client
        self.url: Final = url
        self.replica_id: Final = identify_bucket(client, url, wanted=replica_id)
        self._reservations = Reservations(lambda: None, 0)
        self._pace: Final = Pace()

    def paced(self, what: str, request: Callable[[], T]) -> T:
        """Make a request for an object at the pace that the bucket bears; errors as `mapped`."""

        def make() -> T:
            with mapped(what):
                return request()

        return self._pace.run(make)

    def length(self, key: str) -> int | None:
        """Return the length of an object, None where there is none."""
        split_key(key)
        head = partial(obstore.head, self._client, key)
        try:
            return self.paced(f"cannot look at {key}", head)["size"]
        except FileNotFoundError:
            return None

    def sign(self, keys: Sequence[str], *, seconds: int) -> Sequence[str]:
        """Return URLs at which objects can be read for a time; see `content.direct`."""
        for key in keys:
            split_key(key)
        client: Any = self._client
        with mapped("cannot sign"):
            return list(obstore.sign(client, "GET", list(keys), timedelta(seconds=seconds)))

    def read(self, key: str, *, limit: int) -> bytes:
        """Return a small object whole."""
        found = self.length(key)
        if found is None:
            raise ObjectMissing(key)
        if found > limit:
            raise ObjectCorrupt(key, f"is longer than {limit} bytes")
        data = self.paced(f"cannot read {key}", partial(get, self._client, key))
        if data is None:
            raise ObjectMissing(key)
        return data

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        """Fill `target` from an object; a bucket has no cache of ours to go past."""
        if len(target) == 0:
            return
        get_range = partial(obstore.get_range, self._client, key, start=offset, length=len(target))
        try:
            data = self.paced(f"cannot read {key}", get_range)
        except FileNotFoundError:
            raise ObjectMissing(key) from None
        except StoreUnavailable as error:
            # A range behind the end is an error like any other here: ask why it failed.
            found = None if error.is_throttled else self.length(key)
            if found is None or found >= offset + len(target):
                raise
            data = None
        if data is None or len(data) != len(target):
            raise ObjectCorrupt(key, f"ends before byte {offset + len(target)}")
        target[:] = memoryview(data)

    def begin(self, task: str) -> BucketWindow:
        """Begin a window, after making sure that the bucket is still the store."""
        split_key(task)
        identify_bucket(self._client, self.url, wanted=self.replica_id)
        return BucketWindow(self, self._client)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects below a prefix."""
        split_key(prefix)
        batches = iter(obstore.list(self._client, prefix))
        while True:
            with mapped(f"cannot list {prefix}"):
                batch = next(batches, None)
            if batch is None:
                return
            for item in batch:
                yield StoredObject(item["path"], item["size"], item["last_modified"])

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects."""
        for key in keys:
            split_key(key)
            with mapped(f"cannot delete {key}"), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._client, key)

    def quarantine(self, key: str) -> None:
        """Move an object to quarantine/, under its name and the time in nanoseconds."""
        name = split_key(key)[-1]
        with mapped(f"cannot quarantine {key}"), contextlib.suppress(FileNotFoundError):
            obstore.rename(self._client, key, f"{QUARANTINE}/{name}.{time.time_ns()}")

    def get_ref(self, key: str) -> StoredRef | None:
        """Return a ref; its tag is the bucket's ETag and version."""
        split_key(key)
        with mapped(f"cannot read {key}"):
            try:
                result = obstore.get(self._client, key)
                data = bytes(result.bytes())
            except FileNotFoundError:
                return None
        if len(data) > _REF_LIMIT:
            raise ObjectCorrupt(key, f"is longer than {_REF_LIMIT} bytes")
        meta = result.meta
        return StoredRef(data, _tag(meta["e_tag"], meta["version"]))

    def put_ref(self, key: str, data: bytes, *, expected: str | None) -> str:
        """Write a ref on the condition that nobody else has."""
        split_key(key)
        identify_bucket(self._client, self.url, wanted=self.replica_id)
        mode: UpdateVersion | Literal["create"] = (
            "create" if expected is None else _condition(expected)
        )
        with mapped(f"cannot write {key}"):
            try:
                result = obstore.put(self._client, key, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                raise RefConflict(f"{key} was changed by another writer") from None
        return _tag(result["e_tag"], result["version"])

    def delete_ref(self, key: str, *, expected: str) -> None:
        """Delete a ref. Buckets have no conditional delete: the tag is compared just before."""
        found = self.get_ref(key)
        if found is None or found.tag != expected:
            raise RefConflict(f"{key} was changed by another writer")
        self.delete([key])

    def free_bytes(self) -> int | None:
        """Return None: a bucket has no end that could be asked for."""
        return self._reservations.free_bytes()

    def reserve(self, length: int) -> Reservation:
        """Promise anything."""
        return self._reservations.reserve(length)

    def sweep_temporary(self, *, older_than: float, live_tasks: Container[str]) -> int:
        """Do nothing: a put that fails leaves nothing that could be seen."""
        return 0

    def close(self) -> None:
        """Do nothing: the client holds no lock, and its connections close by themselves."""


class BucketWindow:
    """Objects on their way into a bucket, each durable as soon as its put returns."""

    def __init__(self, store: ObjectStore, client: Client) -> None:
        self._store = store
        self._client = client
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def put(self, key: str, parts: Sequence[memoryview], *, aligned: bool = False) -> PutOutcome:
        """Create the object unless one of its length is there."""
        split_key(key)
        with self._lock:
            if key in self._taken:
                return PutOutcome.PRESENT
            self._taken.add(key)
        data = b"".join(parts)
        if self._create(key, data):
            return PutOutcome.WRITTEN
        if self._store.length(key) == len(data):
            return PutOutcome.PRESENT
        self._store.quarantine(key)
        if self._create(key, data):
            return PutOutcome.WRITTEN
        # Somebody else was faster; the read-back tells whether it is the same.
        return PutOutcome.PRESENT

    def commit(self) -> None:
        """Do nothing: what was put is durable."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: objects that no ref leads to are collected."""

    def _create(self, key: str, data: bytes) -> bool:
        put = partial(obstore.put, self._client, key, data, mode="create", use_multipart=False)
        try:
            self._store.paced(f"cannot write {key}", put)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True


def _tag(e_tag: str | None, version: str | None) -> str:
    known = {"e_tag": e_tag, "version": version}
    return json.dumps({name: value for name, value in known.items() if value is not None})


def _condition(tag: str) -> UpdateVersion:
    # A dict, because obstore takes a version that it was not given for no condition at all.
    condition: UpdateVersion = json.loads(tag)
    return condition
