"""What the parts of DirectoryService share."""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from services.authz.ports import Unit
from services.authz.servicers.writing import Context
from services.authz.usecases.limits import Limits
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call


class DirectoryPart:
    """The dependencies of the service."""

    def __init__(self, context: Context, limits: Limits, trusted_issuers: frozenset[str]) -> None:
        self._context: Final = context
        self._limits: Final = limits
        self._issuers: Final = trusted_issuers

    def _delete(
        self,
        call: Call,
        request: Message,
        work: Callable[[Unit, Access], None],
        *,
        wait: bool = False,
    ) -> bytes:
        """Do a write that has nothing to answer."""
        call.violations.raise_if_any()

        def delete(unit: Unit, access: Access) -> Empty:
            work(unit, access)
            return Empty()

        return self._context.write(call, request, delete, wait=wait)


def named(message: Any, field: str, call: Call, *, shown: str = "display_name") -> None:
    """Record that the text which people see is missing: protovalidate leaves that to Creates."""
    if not getattr(message, shown):
        call.violations.add(f"{field}.{shown}", "is required")
