"""Follows a replication to its end, over breaks of the connection."""

import threading
from collections.abc import Callable, Iterator
from typing import Final

import grpc
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.replication.v1.replication_watch_pb2 import (
    WatchReplicationRequest,
    WatchReplicationResponse,
)

from cli.transfer.retrying import ATTEMPTS, code_of, is_transient, pause


class Watch:
    """The events of a replication, each state transition exactly once and in order.

    `name` is that of a version or of a replication. With `after_sequence`, which needs the name
    of a replication, it goes on after that one; otherwise a snapshot comes first.
    """

    def __init__(
        self,
        stub: ReplicationServiceStub,
        name: str,
        *,
        after_sequence: int | None = None,
        generation: int = 0,
    ) -> None:
        self._stub: Final = stub
        self._name = name
        self._sequence = after_sequence
        self._generation: Final = generation
        self._stop: Final = threading.Event()
        self._cancel: Callable[[], object] = _nothing
        # A snapshot in parts that broke off is begun anew.
        self._whole = True

    def cancel(self) -> None:
        """Stop following; may be called from another thread."""
        self._stop.set()
        self._cancel()

    def __iter__(self) -> Iterator[WatchReplicationResponse]:
        """Yield the events.

        Raises:
            grpc.RpcError: the service refuses, or went away for long.
        """
        failures = 0
        while not self._stop.is_set():
            try:
                for event in self._events():
                    failures = 0
                    yield event
                # Only a stream whose replication is over ends by itself.
                return
            except grpc.RpcError as error:
                if self._stop.is_set():
                    return
                if code_of(error) is grpc.StatusCode.OUT_OF_RANGE and self._sequence is not None:
                    self._sequence = None
                    continue
                if not is_transient(error) or failures + 1 >= ATTEMPTS:
                    raise
            failures += 1
            pause(failures, self._stop)

    def _events(self) -> Iterator[WatchReplicationResponse]:
        call = self._stub.WatchReplication(self._request())
        self._cancel = call.cancel
        if self._stop.is_set():
            call.cancel()
        for event in call:
            self._remember(event)
            yield event

    def _request(self) -> WatchReplicationRequest:
        request = WatchReplicationRequest(name=self._name, follow_successors=True)
        if self._name.startswith("replications/"):
            if self._sequence is not None and self._whole:
                request.after_sequence = self._sequence
        elif self._generation:
            request.minimum_generation = self._generation
        return request

    def _remember(self, event: WatchReplicationResponse) -> None:
        """Keep where to go on, before the event is handed out."""
        if not event.replication:
            return  # A bookmark before there is a replication.
        self._name = event.replication
        self._sequence = event.sequence
        self._whole = not (event.HasField("snapshot") and event.snapshot.partial)


def _nothing() -> None:
    """Stands for the call before there is one."""
