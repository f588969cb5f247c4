"""The stores whose files may be sources, opened by their entries."""

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from services.replication.content.errors import SourceUnavailable, UnsupportedStore
from services.replication.content.source import Source
from services.replication.domain.source_stores import SourceStore
from services.replication.stores.source_directory import SourceDirectory

if TYPE_CHECKING:
    from services.replication.stores.source_bucket import SourceBucket


class SourceFiles:
    """Fulfils `ports.outside.SourceFiles`; a bucket's client is kept, a directory is not."""

    def __init__(self, stores: Mapping[str, SourceStore]) -> None:
        self._stores: Final = dict(stores)
        self._lock: Final = threading.Lock()
        self._buckets: Final[dict[str, SourceBucket]] = {}

    def location(self, entry: str) -> str | None:
        """Answer the region of an allowed store."""
        found = self._stores.get(entry)
        return found.location if found is not None else None

    def check(self, entry: str) -> None:
        """Raise SourceUnavailable unless an allowed store can be reached."""
        self._opened(entry).check()

    def open(self, entry: str, path: str) -> Source:
        """Open and pin a file of an allowed store."""
        return self._opened(entry).open(path)

    def _opened(self, entry: str) -> "SourceDirectory | SourceBucket":
        store = self._stores.get(entry)
        if store is None:
            raise SourceUnavailable(f"no source store {entry} is allowed")
        parts = urlsplit(store.address.url)
        if parts.scheme == "file":
            return SourceDirectory(os.path.normpath(unquote(parts.path)), entry)
        with self._lock:
            bucket = self._buckets.get(entry)
            if bucket is None:
                bucket = self._buckets[entry] = _bucket(store, entry)
            return bucket


def _bucket(store: SourceStore, entry: str) -> "SourceBucket":
    # Loaded when a bucket is used: it costs tens of milliseconds at start.
    from services.replication.stores.bucket import open_client
    from services.replication.stores.source_bucket import SourceBucket

    try:
        client = open_client(store.address.url, store.address.options)
    except UnsupportedStore as error:
        raise SourceUnavailable(f"the source store {entry} cannot be used") from error
    return SourceBucket(client, entry)
