"""A store that only the newest of several writers may write to."""

from collections.abc import Callable
from typing import Any, Final, Self

from services.replication.content.store import Store, Window


class FencedStore:
    """A store whose windows become durable only while the stream is the newest."""

    def __init__(self, store: Store, fence: Callable[[], None]) -> None:
        self._store: Final = store
        self._fence: Final = fence

    def begin(self, task: str) -> Any:
        """Begin a window that asks before it commits."""
        return FencedWindow(self._store.begin(task), self._fence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class FencedWindow:
    """A window that asks the fence before it commits."""

    def __init__(self, window: Window, fence: Callable[[], None]) -> None:
        self._window: Final[Any] = window
        self._fence: Final = fence

    def commit(self) -> None:
        """Ask, then make the window durable."""
        self._fence()
        self._window.commit()

    def __enter__(self) -> Self:
        self._window.__enter__()
        return self

    def __exit__(self, *trace: object) -> None:
        self._window.__exit__(*trace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._window, name)
