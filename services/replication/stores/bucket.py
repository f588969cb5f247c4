"""obstore's clients: how they are opened, what their errors mean, how a bucket becomes a store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import from_url

from services.replication.content.errors import (
    ReplicaMismatch,
    StoreAccessDenied,
    StoreFull,
    StoreUnavailable,
    UnsupportedStore,
)
from services.replication.content.keys import FORMAT_KEY, REPLICA_ID_KEY
from services.replication.stores.layout import check_format, format_file, new_replica_id

if TYPE_CHECKING:
    # It exists for type checkers alone.
    from obstore.store import ObjectStore as Client
    from obstore.store import RetryConfig

# Those of one request: what lasts longer is waited for by the schedule of attempts, in which the
# thread is free for another region.
_RETRY: Final[RetryConfig] = {
    "max_retries": 3,
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
    "retry_timeout": timedelta(seconds=30),
}
# How servers with an end say that they have reached it; the library has no type for it.
_FULL: Final = ("507 Insufficient Storage", "<Code>QuotaExceeded</Code>")
# And how they say that they are asked too much: S3's SlowDown is a 503, Azure's ServerBusy too.
_THROTTLED: Final = ("503 Service Unavailable", "429 Too Many Requests")
# What a request may take, and the connection that it needs.
_CONNECTION: Final = frozenset({"connect_timeout", "timeout"})


@contextlib.contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn obstore's errors into those that tell what a retry may hope for.

    A missing object and a condition that does not hold are answers, and left to the caller.
    """
    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, PreconditionError):
        raise
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise StoreAccessDenied(f"{what}: {_brief(error)}") from error
    except (BaseError, OSError) as error:
        text = _brief(error)
        if any(word in text for word in _FULL):
            raise StoreFull(f"{what}: {text}") from error
        unavailable = StoreUnavailable(f"{what}: {text}")
        unavailable.is_throttled = any(word in text for word in _THROTTLED)
        raise unavailable from error


def open_client(url: str, options: Mapping[str, str]) -> Client:
    """Return obstore's client for a bucket URL, with settings in obstore's words.

    Credentials come from `options` or the environment. On S3 every upload carries a SHA-256 that
    the server checks. UnsupportedStore where the URL or a setting is not known.
    """
    # Settings of connections are no settings of a bucket, and the library panics over them there.
    config: Any = {name: value for name, value in options.items() if name not in _CONNECTION}
    connection = {name: options[name] for name in _CONNECTION if name in options}
    if url.startswith("s3://"):
        config.setdefault("checksum_algorithm", "SHA256")
    # A plain endpoint is one that the operator has written down so, for instance in a test.
    plain = str(config.get("endpoint", "")).startswith("http://")
    client: Any = {**connection, "allow_http": plain}
    try:
        return from_url(
            url,
            config=config,
            client_options=client,
            retry_config=_RETRY,
        )
    except (UnknownConfigurationKeyError, ValueError, BaseError) as error:
        raise UnsupportedStore(f"{url}: {_brief(error)}") from error


def initialise_bucket(client: Client, url: str) -> str:
    """Make an empty prefix of a bucket a store and return its new replica id.

    On a prefix that is one already, its id is returned. ReplicaMismatch where it holds anything
    else.
    """
    known = find_bucket(client, url)
    if known:
        return known
    with mapped(f"cannot initialise {url}"):
        obstore.put(client, FORMAT_KEY, format_file())
        # Created, not overwritten: of two who initialise at once, one gives the id.
        with contextlib.suppress(AlreadyExistsError):
            obstore.put(client, REPLICA_ID_KEY, f"{new_replica_id()}\n".encode(), mode="create")
        return (get(client, REPLICA_ID_KEY) or b"").decode().strip()


def find_bucket(client: Client, url: str) -> str:
    """Return the replica id of a prefix of a bucket, empty where nothing lies there.

    ReplicaMismatch where it holds anything else.
    """
    with mapped(f"cannot look into {url}"):
        known = get(client, REPLICA_ID_KEY)
        if known is not None:
            return known.decode().strip()
        for batch in obstore.list(client):
            # An initialisation that did not get to its end leaves the format alone.
            if any(item["path"] != FORMAT_KEY for item in batch):
                raise ReplicaMismatch(f"{url} is not empty and not a store")
    return ""


def identify_bucket(client: Client, url: str, *, wanted: str | None) -> str:
    """Return a bucket's replica id; ReplicaMismatch where it is not a store, or not `wanted`."""
    with mapped(f"cannot open {url}"):
        form = get(client, FORMAT_KEY)
        found = get(client, REPLICA_ID_KEY)
    if form is None or found is None:
        raise ReplicaMismatch(f"{url} is not an initialised store")
    check_format(form, url)
    replica_id = found.decode().strip()
    if wanted not in {None, replica_id}:
        raise ReplicaMismatch(f"{url} is replica {replica_id}, not {wanted}")
    return replica_id


def get(client: Client, key: str) -> bytes | None:
    """Return a small object whole, None where there is none."""
    try:
        return bytes(obstore.get(client, key).bytes())
    except FileNotFoundError:
        return None


def _brief(error: Exception) -> str:
    # The first line says it; what follows is the library's own debug output.
    return str(error).partition("\n")[0]
