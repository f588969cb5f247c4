"""What the requests of lists have in common."""

from typing import Any

from services.authz.usecases.listing import Asked
from services.kernel.names import ROOT
from services.kernel.rpc.call import Call


def asked(call: Call, request: Any, *, extra: str = "") -> Asked:
    """Read what a list is asked for; `extra` is what else decides about its rows."""
    return Asked(
        method=call.policy.path,
        parent=scope_of(call),
        caller=call.caller.id,
        page_size=request.page_size,
        page_token=request.page_token,
        filter=request.filter,
        order_by=getattr(request, "order_by", ""),
        extra=extra,
    )


def scope_of(call: Call) -> str:
    """Answer the name in the scope field of the call, `/` where it has none."""
    return call.scope.text if call.scope is not None else ROOT
