"""Lists: pages by key set, with a filter, an order, and only what the caller may see."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from services.authz.ports.policy import Facts, Page, PolicyStore
from services.kernel.filter import Comparison, Kind, Order, parse_filter, parse_order_by
from services.kernel.paging import KeyValue, PageBinding, PageTokens, page_size
from services.kernel.violations import Violations

R = TypeVar("R")
Expand = Callable[[Comparison], tuple[str, tuple[str, ...]] | None]

NAME_TIME = ("name", "create_time")
NAME_TITLE_TIME = ("name", "display_name", "create_time")
# Pages that are looked through for one answer, so that a call ends where little can be seen.
_MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class ListSpec(Generic[R]):
    """What the lists of a class can be filtered and ordered by.

    `values` maps the values of an enum as the contract spells them to how they are stored.
    """

    of: type[R]
    fields: Mapping[str, Kind | Collection[str]]
    orders: tuple[str, ...] = NAME_TITLE_TIME
    values: Mapping[str, Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list is asked for by its caller."""

    method: str
    parent: str
    caller: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    extra: str = ""


def page_of(
    store: PolicyStore,
    tokens: PageTokens,
    asked: Asked,
    spec: ListSpec[R],
    *,
    violations: Violations,
    within: tuple[tuple[str, str], ...] = (),
    among: tuple[tuple[str, tuple[str, ...]], ...] = (),
    below: tuple[str, ...] = (),
    expand: Expand = lambda _: None,
    visible: Callable[[R], bool] = lambda _: True,
    check: Callable[[Facts], None] = lambda _: None,
) -> tuple[list[R], str]:
    """Answer a page and the token of the next; `check` is asked in the same read.

    `expand` answers the column and the keys that a comparison stands for, where it is not one
    with a column as it is.

    Raises:
        InvalidArgument: the filter, the order or the token, with everything else.
    """
    filters: tuple[Comparison, ...] = ()
    orders: tuple[Order, ...] = ()
    with violations.collect():
        filters = tuple(_stored(one, spec) for one in parse_filter(asked.filter, spec.fields))
    expanded = {one: expand(one) for one in filters}
    among += tuple(keys for keys in expanded.values() if keys is not None)
    with violations.collect():
        orders = parse_order_by(asked.order_by, spec.orders)
    binding = PageBinding(
        asked.method,
        asked.parent,
        asked.caller,
        filter=asked.filter,
        order_by=asked.order_by,
        extra=asked.extra,
    )
    after: tuple[KeyValue, ...] | None = None
    with violations.collect():
        after = tokens.decode(asked.page_token, binding)
    size = 0
    with violations.collect():
        size = page_size(asked.page_size)
    violations.raise_if_any()

    def read(facts: Facts) -> tuple[list[R], str]:
        check(facts)
        page = Page(
            limit=size + 1,
            within=within,
            among=among,
            below=below,
            filters=tuple(one for one in filters if expanded[one] is None),
            orders=orders,
            after=after,
        )
        return _filled(facts, page, size, spec.of, visible, lambda v: tokens.encode(v, binding))

    return store.read(read)


def _filled(  # noqa: PLR0917 - one step of one function
    facts: Facts,
    page: Page,
    size: int,
    of: type[R],
    visible: Callable[[R], bool],
    token: Callable[[tuple[KeyValue, ...]], str],
) -> tuple[list[R], str]:
    found: list[tuple[R, tuple[KeyValue, ...]]] = []
    last = page.after
    for _ in range(_MAX_PAGES):
        rows = facts.page(of, replace(page, after=last))
        for record, values in rows:
            if visible(record):
                if len(found) == size:
                    return [one for one, _ in found], token(found[-1][1])
                found.append((record, values))
            last = values
        if len(rows) < page.limit:
            return [one for one, _ in found], ""
    # A page may be short; only an empty token ends the list.
    return [one for one, _ in found], token(last or ())


def _stored(comparison: Comparison, spec: ListSpec[R]) -> Comparison:
    values = (spec.values or {}).get(comparison.field)
    return replace(comparison, value=values[str(comparison.value)]) if values else comparison
