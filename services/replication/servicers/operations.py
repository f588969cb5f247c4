"""google.longrunning.Operations of this service."""

from typing import Any, Final

from services.kernel.db.operations import Operation
from services.kernel.rpc.servicers.operations import OperationsServicer
from services.replication.servicers.dependencies import Dependencies

READ_ACTION: Final = "Microsoft.Compute/galleries/images/versions/read"


def operations(parts: Dependencies) -> OperationsServicer:
    """Answer the servicer; cancelling an operation cancels its replication."""

    def cancelled(tx: Any, operation: Operation) -> None:
        parts.cancel_operation(tx, operation.name)

    return OperationsServicer(
        parts.db,
        parts.operations,
        parts.page_tokens,
        read_action=READ_ACTION,
        cancelled=cancelled,
    )
