"""The keys of a token issuer: a JWK set in a file, or one fetched from its URL."""

import json
import logging
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from services.kernel.addresses import is_loopback_host
from services.kernel.clock import Clock, SystemClock
from services.kernel.errors import Unavailable

MAX_DOCUMENT: Final = 1024 * 1024
FETCH_TIMEOUT: Final = 5.0
# An unknown key id makes us look for a new key at most once in this time, in seconds: a flood
# of invented ids is no flood of fetches.
COOLDOWN: Final = 30.0
REFRESH: Final = 300.0
_WAIT_FOR_FETCH: Final = 2.0

_LOG = logging.getLogger(__name__)


class KeySource:
    """The key set of one issuer, read again in the background; the last good one is kept.

    `read` answers the document; `refresh` is how often it is read, in seconds.
    """

    def __init__(
        self, read: Callable[[], bytes], *, refresh: float = REFRESH, clock: Clock | None = None
    ) -> None:
        self._read: Final = read
        self._refresh: Final = refresh
        self._clock: Final = clock or SystemClock()
        # Guards what follows; `_asked` counts the looks that were asked for, `_answered` those
        # for which the set was read after they were.
        self._changed: Final = threading.Condition()
        self._keys: tuple[PyJWK, ...] = ()
        self._asked = 0
        self._answered = 0
        self._looked: float | None = None
        self._closed = False
        self._load()
        self._thread: Final = threading.Thread(target=self._run, name="jwks", daemon=True)
        self._thread.start()

    def find(self, kid: str | None) -> PyJWK | None:
        """Answer the key with that id, or the only key where the token names none.

        An unknown id looks for a new set, at most once per cooldown; only the caller that
        began to look waits for it.

        Raises:
            Unavailable: no set could be read so far, or a new one is being read.
        """
        found = self._known(kid)
        if found is not None or kid is None:
            return found
        with self._changed:
            now = self._clock.monotonic()
            if self._looked is not None and now - self._looked < COOLDOWN:
                if self._answered < self._asked:
                    raise _unavailable()
                return self._known(kid)
            self._looked = now
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answered >= mine, _WAIT_FOR_FETCH)
        return self._known(kid)

    def close(self) -> None:
        """End the background thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(FETCH_TIMEOUT)

    def _known(self, kid: str | None) -> PyJWK | None:
        keys = self._keys
        if not keys:
            raise _unavailable()
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == kid), None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._answered < self._asked,
                    self._refresh if self._keys else COOLDOWN,
                )
                if self._closed:
                    return
            self._load()

    def _load(self) -> None:
        with self._changed:
            asked = self._asked
        try:
            keys = tuple(_usable(json.loads(self._read())))
        except (OSError, ValueError, PyJWTError) as error:
            _LOG.warning("a key set cannot be read, the last good one stays: %s", error)
            keys = ()
        with self._changed:
            self._keys = keys or self._keys
            self._answered = asked
            self._changed.notify_all()


def _usable(document: Any) -> list[PyJWK]:
    """Answer the public signature keys; a symmetric one would make every reader an issuer."""
    if not isinstance(document, dict):
        raise ValueError("a key set is a JSON object")  # noqa: TRY004 one kind of bad document
    return [
        key
        for key in PyJWKSet.from_dict(document)
        if key.key_type in {"EC", "RSA", "OKP"} and key.public_key_use in {None, "sig"}
    ]


def _unavailable() -> Unavailable:
    return Unavailable("the keys of the token issuer are not known yet", retry_after=1.0)


def reader(location: str) -> Callable[[], bytes]:
    """Answer what reads a key set from a path or an https URL (http on loopback).

    Raises:
        ValueError: another scheme, or http to another machine.
    """
    if "://" not in location:
        path = Path(location)
        return path.read_bytes
    url = urllib.parse.urlsplit(location)
    if url.scheme != "https" and not (
        url.scheme == "http" and is_loopback_host(url.hostname or "")
    ):
        raise ValueError(f"a key set is fetched by https: {location}")
    opener = urllib.request.build_opener(_NoRedirect)

    def fetch() -> bytes:
        with opener.open(location, timeout=FETCH_TIMEOUT) as response:
            document: bytes = response.read(MAX_DOCUMENT + 1)
        if len(document) > MAX_DOCUMENT:
            raise ValueError("the key set is too large")
        return document

    return fetch


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever can redirect the fetch would choose our keys."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
