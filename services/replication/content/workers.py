"""Worker threads that own one segment buffer each and pull their work themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from services.replication.content.buffers import SegmentBuffer

ItemT = TypeVar("ItemT")


class Workers:
    """Threads for as long as one disk is copied. There is no queue: memory is the buffers."""

    def __init__(self, count: int) -> None:
        self._buffers = [SegmentBuffer() for _ in range(count)]
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="segment")

    def each(
        self, claim: Callable[[], ItemT | None], work: Callable[[ItemT, SegmentBuffer], None]
    ) -> None:
        """Run `work` on what `claim` gives until it gives None; `claim` may come from any thread.

        After an error nothing more is begun, and the error is raised once all threads are done.
        """
        failed = threading.Event()

        def loop(buffer: SegmentBuffer) -> None:
            try:
                while not failed.is_set() and (item := claim()) is not None:
                    work(item, buffer)
            except BaseException:
                failed.set()
                raise

        futures = [self._pool.submit(loop, buffer) for buffer in self._buffers]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
