"""Objects of a bucket as sources, each read under the ETag that it was found with."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from services.replication.content.errors import SourceChanged, SourceMissing, SourceUnavailable

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

_LOG: Final = logging.getLogger(__name__)


class SourceBucket:
    """A prefix of a bucket whose objects may be sources; `name` is what errors call it."""

    def __init__(self, client: Client, name: str) -> None:
        self._client: Final = client
        self._name: Final = name

    def check(self) -> None:
        """Raise SourceUnavailable unless the bucket answers."""
        with _mapped(self._name), contextlib.suppress(FileNotFoundError):
            obstore.head(self._client, "stoa-reachable")

    def open(self, path: str) -> ObjectSource:
        """Find and pin an object.

        Raises:
            SourceMissing: there is none, or none can have that name.
            SourceUnavailable: the bucket does not answer, refuses, or gives no ETags.
        """
        return ObjectSource(self._client, path, f"{self._name}/{path}")


class ObjectSource:
    """The bytes of one object; every read demands the ETag of the first look."""

    def __init__(self, client: Client, path: str, name: str) -> None:
        self._client: Final = client
        self._path: Final = path
        self._name: Final = name
        self.size, self.pin = self._look()

    def extents(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield all of the object: a bucket knows no holes."""
        if start < self.size:
            yield start, self.size

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from byte `offset`."""
        if not len(target):
            return
        end = offset + len(target)
        with _mapped(self._name):
            found = obstore.get(
                self._client, self._path, options={"if_match": self.pin, "range": (offset, end)}
            ).bytes()
        if len(found) != len(target):
            raise SourceChanged(f"{self._name} has become shorter")
        target[:] = memoryview(found)

    def check(self) -> None:
        """Raise SourceChanged unless the object is what it was."""
        if self._look() != (self.size, self.pin):
            raise SourceChanged(f"{self._name} was changed while it was copied")

    def close(self) -> None:
        """Do nothing: connections close by themselves."""

    def _look(self) -> tuple[int, str]:
        with _mapped(self._name):
            found = obstore.head(self._client, self._path)
        if not found["e_tag"]:
            raise SourceUnavailable(f"the store of {self._name} gives no ETags to pin it by")
        return found["size"], found["e_tag"]


@contextlib.contextmanager
def _mapped(name: str) -> Iterator[None]:
    try:
        yield
    except PreconditionError as error:
        raise SourceChanged(f"{name} was changed") from error
    except (FileNotFoundError, ValueError) as error:
        # ValueError: no object can have such a name.
        raise SourceMissing(f"there is no {name}") from error
    except (BaseError, AlreadyExistsError, OSError) as error:
        # The library names buckets and endpoints, which are the operator's alone to know; its
        # first line says what is wrong, the rest is debug output.
        _LOG.warning("cannot read %s: %s", name, str(error).partition("\n")[0])
        raise SourceUnavailable(f"the store of {name} does not answer or refuses") from error
