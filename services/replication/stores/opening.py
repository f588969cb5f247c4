"""Stores by their address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from services.replication.content.errors import UnsupportedStore
from services.replication.stores.local import DEFAULT_MARGIN, LocalStore
from services.replication.stores.local_identity import initialise_directory

if TYPE_CHECKING:
    from services.replication.content.store import Store

_BUCKETS = ("s3", "gs", "az")


def initialise_store(url: str, options: Mapping[str, str] | None = None) -> str:
    """Make an empty directory or bucket prefix a store; return its replica id.

    On a store its id is returned and nothing changes. `options` are a bucket's settings in
    obstore's words (`endpoint`, `region`, `access_key_id`, ...).

    Raises:
        UnsupportedStore: the address is of no known kind.
        ReplicaMismatch: something else lies there.
    """
    path = local_path(url)
    if path is not None:
        return initialise_directory(path)
    from services.replication.stores.bucket import initialise_bucket, open_client

    return initialise_bucket(open_client(url, options or {}), url)


def identify_bucket(url: str, options: Mapping[str, str]) -> str:
    """Return the replica id of a bucket's prefix, empty where nothing lies there.

    Raises:
        ReplicaMismatch: something else lies there.
        UnsupportedStore, StoreUnavailable, StoreAccessDenied.
    """
    from services.replication.stores.bucket import find_bucket, open_client

    return find_bucket(open_client(url, options), url)


def open_store(
    url: str,
    *,
    replica_id: str | None = None,
    options: Mapping[str, str] | None = None,
    margin_bytes: int = DEFAULT_MARGIN,
) -> Store:
    """Open an initialised store: a path, `file:///dir`, `s3://`, `gs://` or `az://`.

    `replica_id` is what the region's registry knows; `margin_bytes` of a local file system are
    left free.

    Raises:
        UnsupportedStore: the address is of no known kind, or the store of an unknown format.
        ReplicaMismatch: no store is there, or another one.
        StoreUnavailable, StoreAccessDenied, StoreBusy.
    """
    path = local_path(url)
    if path is not None:
        return LocalStore(path, replica_id=replica_id, margin_bytes=margin_bytes)
    # Loaded when a bucket is used: it costs tens of milliseconds at start.
    from services.replication.stores.bucket import open_client
    from services.replication.stores.object_store import ObjectStore

    return ObjectStore(open_client(url, options or {}), url, replica_id=replica_id)


def local_path(url: str) -> str | None:
    """Return the path of a local store, None for a bucket; UnsupportedStore otherwise."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    if parts.scheme in _BUCKETS and parts.netloc:
        return None
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return unquote(parts.path)
    raise UnsupportedStore(f"{url} is neither a directory nor an s3, gs or az address")
