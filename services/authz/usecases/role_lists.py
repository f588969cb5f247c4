"""Lists of roles: few enough to be looked at whole, since most of them are in no table."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cmp_to_key
from typing import Final

from services.authz.domain.records import RoleDefinition
from services.authz.ports.policy import Facts, PolicyStore
from services.authz.usecases.listing import Asked
from services.kernel.filter import Comparison, Kind, Op, Order, parse_filter, parse_order_by
from services.kernel.paging import KeyValue, PageBinding, PageTokens, page_size
from services.kernel.violations import Violations
from services.policy.actions import KNOWN
from services.policy.matching import PermissionMatcher
from services.policy.model import Plane

_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    "role_name": Kind.STRING,
    "type": frozenset({"BUILT_IN", "CUSTOM"}),
    "permits": Kind.STRING,
}
_ORDERS: Final = ("name", "role_name")
# By how many characters of their names roles are ordered; a token has at most 4,096.
_PLACED: Final = 200


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
        _check_actions(filters, violations)
    with violations.collect():
        orders = parse_order_by(asked.order_by, _ORDERS)
    with violations.collect():
        after = tokens.decode(asked.page_token, binding)
    with violations.collect():
        size = page_size(asked.page_size)
    violations.raise_if_any()
    directions = (*(one.descending for one in orders), orders[-1].descending if orders else False)

    def place(role: RoleDefinition) -> tuple[str, ...]:
        fields = (role.key if one.field == "name" else _begin(role.role_name) for one in orders)
        return (*fields, role.key)

    def compared(one: tuple[KeyValue, ...], two: tuple[KeyValue, ...]) -> int:
        for left, right, down in zip(one, two, directions, strict=True):
            if left != right:
                return -1 if (str(left) < str(right)) is not down else 1
        return 0

    roles = [one for one in store.read(readable) if all(_holds(one, two) for two in filters)]
    if after is not None:
        # By its place and not by its name: the last one may be gone by now.
        roles = [one for one in roles if compared(place(one), after) > 0]
    roles.sort(key=cmp_to_key(lambda one, two: compared(place(one), place(two))))
    found = roles[:size]
    more = len(roles) > size
    return found, tokens.encode(place(found[-1]), binding) if more else ""


def _begin(role_name: str) -> str:
    """Answer as much of a name as fits into a page token, whatever it is made of."""
    return role_name[:_PLACED]


def _check_actions(filters: Iterable[Comparison], violations: Violations) -> None:
    for one in filters:
        if one.field != "permits":
            continue
        if one.op not in {Op.EQ, Op.NE}:
            violations.add("filter", "permits is compared by = or !=")
        elif not any(KNOWN.find(str(one.value), plane) for plane in Plane):
            violations.add("filter", f"{one.value} is no action of this installation")


def _permits(role: RoleDefinition, action: str) -> bool:
    matcher = PermissionMatcher(role.permissions)
    known = ((KNOWN.find(action, plane), plane) for plane in Plane)
    return any(found is not None and matcher.permits(found, plane) for found, plane in known)


def _holds(role: RoleDefinition, comparison: Comparison) -> bool:
    wanted = str(comparison.value)
    if comparison.field == "permits":
        return _permits(role, wanted) is (comparison.op is Op.EQ)
    values = {"role_name": role.role_name, "type": "CUSTOM" if role.tenant else "BUILT_IN"}
    value = values[comparison.field]
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
