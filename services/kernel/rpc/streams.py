"""The open streams of an aio server, which it can end whatever they wait for."""

import asyncio
from typing import Any, Final

from services.kernel.errors import StoaError
from services.kernel.rpc.call import Call


class Streams:
    """The streams of a server that are open, so that it can end them."""

    def __init__(self) -> None:
        self._open: Final[dict[Call, asyncio.Task[Any]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, call: Call) -> None:
        """Watch over the stream that the current task serves."""
        task = asyncio.current_task()
        if task is not None:
            self._open[call] = task

    def closed(self, call: Call) -> None:
        """Forget a stream that has ended."""
        self._open.pop(call, None)

    def calls(self) -> list[Call]:
        """Answer the calls of the open streams."""
        return list(self._open)

    def end(self, call: Call, error: StoaError) -> None:
        """End a stream with `error`, whatever it waits for.

        A message that is on its way is waited for: gRPC takes no status before that is done.
        """
        task = self._open.pop(call, None)
        if task is not None:
            call.end(error)
            if not call.writing:
                task.cancel()
