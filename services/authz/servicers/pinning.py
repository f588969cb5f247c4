"""Lists about the policy whose pages are all of one revision and one moment."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stoa.authz.v1 import consistency_pb2

from services.authz.servicers.questioning import History
from services.authz.servicers.writing import Context
from services.kernel.errors import Aborted, InvalidArgument
from services.kernel.paging import KeyValue, PageBinding, PageTokens
from services.kernel.rpc.call import Call
from services.policy.index import PolicyIndex

# How long a list can be gone on with, whatever happens to the policy meanwhile.
HELD_FOR: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pin:
    """What the pages of a list have in common, and what the page follows after."""

    index: PolicyIndex
    now: datetime
    tokens: PageTokens
    binding: PageBinding
    after: tuple[KeyValue, ...] = ()

    def token(self, *last: KeyValue) -> str:
        """Answer the token of the page after an entry."""
        moment = (self.now - _EPOCH) // _MICROSECOND
        return self.tokens.encode(
            (self.index.epoch, self.index.revision, moment, *last), self.binding
        )


def pinned(
    request: Any,
    call: Call,
    *,
    context: Context,
    history: History,
    first: Callable[[consistency_pb2.Consistency], PolicyIndex],
) -> Pin:
    """Answer what a page is read at: for the first page `first` decides.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID, with everything else that is wrong.
        Aborted: LIST_EXPIRED.
    """
    binding = _binding(call, request)
    values: tuple[KeyValue, ...] | None = None
    try:
        values = context.tokens.decode(request.page_token, binding)
    except InvalidArgument as error:
        call.violations.extend(error)
        call.violations.raise_if_any()
    if values is None:
        return Pin(first(request.consistency), context.now(), context.tokens, binding)
    epoch, revision, moment, *last = values
    now = _EPOCH + int(moment) * _MICROSECOND
    current = history.current()
    held = None
    if epoch == current.epoch and (
        history.is_recent(int(revision)) or context.now() - now < HELD_FOR
    ):
        held = history.at(int(revision))
    if held is None:
        raise Aborted(
            "the revision of this list is no longer held; begin it again", reason="LIST_EXPIRED"
        )
    return Pin(held, now, context.tokens, binding, tuple(last))


def _binding(call: Call, request: Any) -> PageBinding:
    """Bind a token to the list and to who reads it; pages may differ in size."""
    asked = type(request).FromString(request.SerializeToString())
    for field in ("page_token", "page_size", "consistency"):
        asked.ClearField(field)
    body = asked.SerializeToString(deterministic=True)
    return PageBinding(
        call.policy.path, "/", call.caller.id, extra=hashlib.sha256(body).hexdigest()
    )
