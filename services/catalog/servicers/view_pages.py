"""What a list of views was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.catalog.servicers.mutations import scope_of
from services.catalog.servicers.view_filters import Fields
from services.kernel.filter import Comparison, Order, parse_filter, parse_order_by
from services.kernel.paging import PageBinding, PageTokens, page_size
from services.kernel.rpc.call import Call


@dataclass(frozen=True, slots=True)
class Page:
    """What a list was asked for, read."""

    size: int
    binding: PageBinding
    comparisons: Sequence[Comparison]
    order: Sequence[Order]
    after: tuple[Any, ...] | None


def read_page(
    tokens: PageTokens,
    request: Any,
    call: Call,
    fields: Fields,
    *,
    orders: Sequence[str],
    extra: str = "",
) -> Page:
    """Answer what the request asks for; `extra` is what else binds its page tokens.

    Raises:
        InvalidArgument: with all that is wrong with the request.
    """
    violations = call.violations
    filter_text = getattr(request, "filter", "")
    order_text = getattr(request, "order_by", "")
    binding = PageBinding(
        method=call.policy.path,
        parent=scope_of(call).key,
        caller=call.caller.id,
        filter=filter_text,
        order_by=order_text,
        extra=extra,
    )
    size = 0
    comparisons: Sequence[Comparison] = ()
    order: Sequence[Order] = ()
    after: tuple[Any, ...] | None = None
    with violations.collect():
        size = page_size(request.page_size)
    with violations.collect():
        comparisons = parse_filter(filter_text, fields)
    with violations.collect():
        order = parse_order_by(order_text, orders)
    with violations.collect():
        after = tokens.decode(request.page_token, binding)
    violations.raise_if_any()
    return Page(size, binding, comparisons, order, after)
