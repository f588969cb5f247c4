"""Lists of roles: few enough to be looked at whole, since most of them are in no table."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from services.authz.domain.records import RoleDefinition
from services.authz.ports import Facts, PolicyStore
from services.authz.usecases.listing import Asked
from services.kernel.filter import Comparison, Kind, Op, Order, parse_filter, parse_order_by
from services.kernel.paging import KeyValue, PageBinding, PageTokens, page_size
from services.kernel.violations import Violations

_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    "role_name": Kind.STRING,
    "type": frozenset({"BUILT_IN", "CUSTOM"}),
    "tenant": Kind.STRING,
}
_ORDERS: Final = ("name", "role_name", "create_time")


def page_of(  # noqa: PLR0917 - the parts of one list
    store: PolicyStore,
    tokens: PageTokens,
    asked: Asked,
    readable: Callable[[Facts], list[RoleDefinition]],
    violations: Violations,
) -> tuple[list[RoleDefinition], str]:
    """Answer a page and the token of the next.

    Raises:
        InvalidArgument: the filter, the order or the token, with everything else.
    """
    binding = PageBinding(
        asked.method,
        asked.parent,
        asked.caller,
        filter=asked.filter,
        order_by=asked.order_by,
        extra=asked.extra,
    )
    filters: tuple[Comparison, ...] = ()
    orders: tuple[Order, ...] = ()
    after: tuple[KeyValue, ...] | None = None
    size = 0
    with violations.collect():
        filters = parse_filter(asked.filter, _FIELDS)
    with violations.collect():
        orders = parse_order_by(asked.order_by, _ORDERS)
    with violations.collect():
        after = tokens.decode(asked.page_token, binding)
    with violations.collect():
        size = page_size(asked.page_size)
    violations.raise_if_any()
    roles = [one for one in store.read(readable) if all(_holds(one, two) for two in filters)]
    # A stable sort by each field, the least important first.
    roles.sort(key=lambda one: one.key)
    for order in reversed(orders):
        roles.sort(key=lambda one: _sorted_by(one, order), reverse=order.descending)
    begin = 0
    if after is not None:
        begin = next((i + 1 for i, one in enumerate(roles) if one.key == after[0]), 0)
    found = roles[begin : begin + size]
    more = begin + size < len(roles)
    return found, tokens.encode((found[-1].key,), binding) if more else ""


def _sorted_by(role: RoleDefinition, order: Order) -> Any:
    return role.key if order.field == "name" else getattr(role, order.field)


def _holds(role: RoleDefinition, comparison: Comparison) -> bool:
    values = {
        "role_name": role.role_name,
        "type": "CUSTOM" if role.tenant else "BUILT_IN",
        "tenant": role.tenant,
    }
    value, wanted = values[comparison.field], str(comparison.value)
    match comparison.op:
        case Op.EQ:
            return value == wanted
        case Op.NE:
            return value != wanted
        case Op.LT:
            return value < wanted
        case Op.LE:
            return value <= wanted
        case Op.GT:
            return value > wanted
        case Op.GE:
            return value >= wanted
        case Op.HAS:
            return wanted.lower() in value.lower()
