"""The store that a copy writes into: its failures are told from those of where bytes come from."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from services.replication.content.errors import StoreUnavailable
from services.replication.content.store import Store, Window


@contextmanager
def of_target() -> Iterator[None]:
    """Mark what says that a store is away as said of the target."""
    try:
        yield
    except StoreUnavailable as error:
        error.of_target = True
        raise


class TargetStore:
    """A store whose calls, and those of its windows, mark their failures."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def begin(self, task: str) -> "TargetWindow":
        """Begin a window."""
        with of_target():
            return TargetWindow(self._store.begin(task))

    def __getattr__(self, name: str) -> Any:
        return _marked(getattr(self._store, name))


class TargetWindow:
    """A window whose calls mark their failures."""

    def __init__(self, window: Window) -> None:
        self._window: Final[Any] = window

    def __enter__(self) -> Self:
        self._window.__enter__()
        return self

    def __exit__(self, *trace: object) -> None:
        with of_target():
            self._window.__exit__(*trace)

    def __getattr__(self, name: str) -> Any:
        return _marked(getattr(self._window, name))


def _marked(found: Any) -> Any:
    if not callable(found):
        return found
    call: Callable[..., Any] = found

    @functools.wraps(call)
    def marked(*args: Any, **options: Any) -> Any:
        with of_target():
            return call(*args, **options)

    return marked
