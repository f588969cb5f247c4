"""Waits for an operation while its replication is shown."""

import threading
from typing import Final, NamedTuple

import grpc
from google.longrunning.operations_pb2 import Operation
from stoa.catalog.v1.image_version_pb2 import WaitMode
from stoa.catalog.v1.operation_metadata_pb2 import ImageVersionOperationMetadata
from stoa.replication.v1.operation_metadata_pb2 import OperationMetadata
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from cli.invocation import current
from cli.transfer.progress import View, view
from cli.verbs.region_progress import RegionBoard
from cli.verbs.watching import Watch
from cli.waiting import finished, wait

# The last events have been recorded when the operation is done; they only have to arrive.
_LAST_EVENTS: Final = 5.0


def follow(operation: Operation, *, service: str = "catalog") -> Operation:
    """Wait for an operation and answer it; the regions that are copied to are shown meanwhile.

    Raises:
        CliError: it failed.
    """
    if operation.done:
        return finished(operation)
    watched = None if current().options.quiet else _watched(operation)
    if watched is None:
        return wait(current().connection, operation, service=service)
    with view() as shown:
        follower = _Follower(shown, watched.watch)
        follower.start()
        try:
            done = wait(current().connection, operation, service=service)
        except BaseException:
            follower.finish(within=0)
            raise
        follower.finish(within=_LAST_EVENTS if watched.to_its_end else 0)
        return done


class _Watched(NamedTuple):
    """The replication that an operation waits for, and whether until all of it is done."""

    watch: Watch
    to_its_end: bool


def _watched(operation: Operation) -> _Watched | None:
    stub = current().connection.stub("replication", ReplicationServiceStub)
    change = ImageVersionOperationMetadata()
    if operation.metadata.Unpack(change):
        to_its_end = change.wait_for in {
            WaitMode.WAIT_MODE_UNSPECIFIED,
            WaitMode.WAIT_MODE_ALL_REGIONS,
        }
        return _Watched(Watch(stub, change.target, generation=change.generation), to_its_end)
    retry = OperationMetadata()
    if operation.metadata.Unpack(retry) and retry.replication:
        return _Watched(Watch(stub, retry.replication), to_its_end=True)
    return None


class _Follower(threading.Thread):
    """Shows the regions of the replication that an operation waits for."""

    def __init__(self, shown: View, watch: Watch) -> None:
        super().__init__(name="watch", daemon=True)
        self._view: Final = shown
        self._watch: Final = watch

    def run(self) -> None:
        board = RegionBoard()
        try:
            for event in self._watch:
                for line in board.apply(event):
                    self._view.show(line)
        except grpc.RpcError:
            # Who may not watch may wait all the same; the operation tells how it ends.
            return

    def finish(self, *, within: float) -> None:
        """End after the last event, or after `within` seconds."""
        self.join(within)
        self._watch.cancel()
        self.join()
