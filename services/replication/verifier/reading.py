"""Reading a store as it lies there: without locks, so that a medium that is read-only will do."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from services.replication.content.errors import (
    DataError,
    ObjectCorrupt,
    ObjectMissing,
    StoreUnavailable,
    UnsupportedStore,
)
from services.replication.content.store import ObjectReader
from services.replication.domain.region import StoreAddress
from services.replication.domain.store_urls import parse_store_url
from services.replication.stores.local_files import fill, opened, read_whole, state_of
from services.replication.stores.opening import local_path
from services.replication.stores.posix import directory, mapped

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

# What a file system keeps at its root for itself.
_OF_THE_FILE_SYSTEM: Final = "lost+found"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a store; `regular` is False for a link, a socket and the like.

    `problem` says why a directory cannot be looked into.
    """

    key: str
    length: int
    regular: bool = True
    problem: str = ""


class Contents(ObjectReader, Protocol):
    """Everything in a store."""

    @property
    def address(self) -> str:
        """Where it is, without secrets."""

    def entries(self) -> Iterator[Entry]:
        """Yield all that is there, directories left out. Raises DataError."""


class DirectoryContents:
    """A directory; no part of a path is followed where it is a link."""

    def __init__(self, path: str) -> None:
        """Open `path`; StoreUnavailable, StoreAccessDenied."""
        self.address: Final = path
        with mapped(f"cannot open {path}"):
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def entries(self) -> Iterator[Entry]:
        """Yield all that is there, directories left out."""
        pending: list[tuple[str, ...]] = [()]
        while pending:
            current = pending.pop()
            try:
                with (
                    mapped("cannot be listed"),
                    directory(self._root, current) as folder,
                    os.scandir(folder) as found,
                ):
                    states = [(one.name, one.stat(follow_symlinks=False)) for one in found]
            except DataError as error:
                if not current:
                    raise
                yield Entry("/".join(current), 0, problem=str(error))
                continue
            states.sort(key=lambda pair: pair[0])
            for name, state in states:
                if stat.S_ISDIR(state.st_mode):
                    if (*current, name) != (_OF_THE_FILE_SYSTEM,):
                        pending.append((*current, name))
                else:
                    key = "/".join((*current, name))
                    yield Entry(key, state.st_size, stat.S_ISREG(state.st_mode))

    def length(self, key: str) -> int | None:
        """Return the length of a file."""
        found = state_of(self._root, key.split("/"), key)
        return None if found is None else found.st_size

    def read(self, key: str, *, limit: int) -> bytes:
        """Return a file whole."""
        return read_whole(self._root, key.split("/"), key, limit=limit)

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        """Fill `target` from a file."""
        with opened(self._root, key.split("/"), key) as descriptor:
            if uncached:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            fill(descriptor, key, offset, target=target)


class BucketContents:
    """A bucket, or a prefix of one."""

    def __init__(self, client: Client, url: str) -> None:
        """Read through obstore's `client` of a `url` without secrets."""
        self.address: Final = url
        self._client: Final = client

    def entries(self) -> Iterator[Entry]:
        """Yield all objects."""
        import obstore

        from services.replication.stores import bucket

        batches = iter(obstore.list(self._client))
        while True:
            with bucket.mapped("cannot list the bucket"):
                batch = next(batches, None)
            if batch is None:
                return
            for item in batch:
                yield Entry(item["path"], item["size"])

    def length(self, key: str) -> int | None:
        """Return the length of an object."""
        import obstore

        from services.replication.stores import bucket

        with bucket.mapped(f"cannot look at {key}"):
            try:
                return obstore.head(self._client, key)["size"]
            except FileNotFoundError:
                return None

    def read(self, key: str, *, limit: int) -> bytes:
        """Return an object whole."""
        from services.replication.stores import bucket

        found = self.length(key)
        if found is not None and found > limit:
            raise ObjectCorrupt(key, f"is longer than {limit} bytes")
        with bucket.mapped(f"cannot read {key}"):
            data = bucket.get(self._client, key)
        if data is None:
            raise ObjectMissing(key)
        return data

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        """Fill `target` from an object; a bucket has no cache of ours to go past."""
        import obstore

        from services.replication.stores import bucket

        found = self.length(key)
        if found is None:
            raise ObjectMissing(key)
        if found < offset + len(target):
            raise ObjectCorrupt(key, f"ends before byte {offset + len(target)}")
        with bucket.mapped(f"cannot read {key}"):
            data = obstore.get_range(self._client, key, start=offset, length=len(target))
        target[:] = memoryview(data)


def open_contents(place: str) -> Contents:
    """Open a directory, or a URL as an operator writes it, for reading alone.

    Raises:
        DataError: it is neither, or cannot be opened.
    """
    address = StoreAddress(place)
    if "://" in place:
        try:
            address = parse_store_url(place)
        except ValueError as error:
            raise UnsupportedStore(str(error)) from error
    path = local_path(address.url)
    if path is not None:
        if not os.path.isdir(path):
            raise StoreUnavailable(f"{path} is no directory")
        return DirectoryContents(path)
    from services.replication.stores.bucket import open_client

    return BucketContents(open_client(address.url, address.options), address.url)
