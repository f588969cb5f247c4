"""Waits for an operation while its replication is shown."""

import threading
from typing import Final

import grpc
from google.longrunning.operations_pb2 import Operation
from stoa.catalog.v1.image_version_pb2 import WaitMode
from stoa.catalog.v1.operation_metadata_pb2 import ImageVersionOperationMetadata
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from cli.invocation import current
from cli.transfer.progress import View, view
from cli.verbs.region_progress import RegionBoard
from cli.verbs.watching import Watch
from cli.waiting import finished, wait

# The last events have been recorded when the operation is done; they only have to arrive.
_LAST_EVENTS: Final = 5.0


def follow(operation: Operation, *, service: str = "catalog") -> Operation:
    """Wait for an operation and answer it; a version's regions are shown meanwhile.

    Raises:
        CliError: it failed.
    """
    metadata = ImageVersionOperationMetadata()
    if operation.done:
        return finished(operation)
    if current().options.quiet or not operation.metadata.Unpack(metadata):
        return wait(current().connection, operation, service=service)
    with view() as shown:
        follower = _Follower(shown, metadata)
        follower.start()
        try:
            done = wait(current().connection, operation, service=service)
        except BaseException:
            follower.finish(within=0)
            raise
        all_regions = metadata.wait_for in {
            WaitMode.WAIT_MODE_UNSPECIFIED,
            WaitMode.WAIT_MODE_ALL_REGIONS,
        }
        follower.finish(within=_LAST_EVENTS if all_regions else 0)
        return done


class _Follower(threading.Thread):
    """Shows the regions of the replication that an operation waits for."""

    def __init__(self, shown: View, metadata: ImageVersionOperationMetadata) -> None:
        super().__init__(name="watch", daemon=True)
        stub = current().connection.stub("replication", ReplicationServiceStub)
        self._view: Final = shown
        self._watch: Final = Watch(stub, metadata.target, generation=metadata.generation)

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
