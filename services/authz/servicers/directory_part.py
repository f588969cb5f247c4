"""What the parts of DirectoryService share."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from services.authz.domain.names import MANAGEMENT_GROUP
from services.authz.ports.policy import Unit
from services.authz.servicers.asking import scope_of
from services.authz.servicers.writing import Context
from services.authz.usecases.directory_updates import PARENT
from services.authz.usecases.limits import Limits
from services.authz.usecases.updating import Update
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


def update_of(call: Call, message: Any, mask: FieldMask, sent: Mapping[str, Any]) -> Update:
    """Answer the Update that a request asks for."""
    return Update(scope_of(call), tuple(mask.paths), sent, message.etag)


def above(call: Call, field: str, text: str) -> str:
    """Read the management group that something shall lie in, `text` as it is where it is empty.

    Raises:
        InvalidArgument: it is no name, so that nothing can be demanded there; with everything
            else that is wrong.
    """
    if not text:
        return text
    with call.violations.collect():
        return MANAGEMENT_GROUP.parse(text, field=f"{field}.{PARENT}").text
    call.violations.raise_if_any()
    return text


def named(message: Any, field: str, call: Call, *, shown: str = "display_name") -> None:
    """Record that the text which people see is missing: protovalidate leaves that to Creates."""
    if not getattr(message, shown):
        call.violations.add(f"{field}.{shown}", "is required")
