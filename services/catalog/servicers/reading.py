"""Gets and lists: rows that are messages already, answered as they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.catalog.domain import reasons
from services.catalog.ports.reading import ListQuery, Reader, Stored
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.mutations import scope_of
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.filter import Kind, parse_filter, parse_order_by
from services.kernel.names import Name
from services.kernel.paging import PageBinding, page_size
from services.kernel.rpc.call import Call

# A page holds at most this many bytes of resources, and at least one (performance.md, section 7).
_PAGE_BYTES: Final = 1024 * 1024
# How many rows a wildcard list looks at for one page, when it may show few of them.
_LOOKED_AT: Final = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """How one kind is listed: the fields of filters and orders, and what makes the response.

    `response` is called with the rows of the page and the token of the next one.
    """

    resource_type: str
    action: str
    fields: Mapping[str, Kind | Collection[str]]
    orders: Collection[str]
    response: Callable[..., Any]
    parent_exists: Callable[[Name], bool]
    parent_type: str


def get(
    dependencies: Dependencies,
    call: Call,
    reader: Reader,
    resource_type: str,
    *,
    view: str = "",
) -> bytes:
    """Answer one resource, by one statement.

    Raises:
        NotFound: there is none of this name.
    """
    name = scope_of(call)
    call.violations.raise_if_any()
    stored = reader.get(name.key, view)
    if stored is None:
        raise NotFound.of(resource_type, name.text)
    judge_anew(dependencies, call, stored.policy_revision, name.text)
    return stored.body


def page(
    dependencies: Dependencies,
    call: Call,
    reader: Reader,
    request: Any,
    *,
    listing: Listing,
    view: str = "",
) -> Any:
    """Answer a page of a list.

    Below a name with `-` the caller's rights are asked row by row, and a page may be short.

    Raises:
        InvalidArgument: the filter, the order, the page size or the token.
        NotFound: PARENT_NOT_FOUND.
    """
    parent = scope_of(call)
    violations = call.violations
    size = 0
    binding = PageBinding(
        method=call.policy.path,
        parent=parent.key,
        caller=call.caller.id,
        filter=request.filter,
        order_by=request.order_by,
        extra=f"{view}{getattr(request, 'show_deleted', False)}",
    )
    comparisons: Sequence[Any] = ()
    orders: Sequence[Any] = ()
    last = None
    with violations.collect():
        size = page_size(request.page_size)
    with violations.collect():
        comparisons = parse_filter(request.filter, listing.fields)
    with violations.collect():
        orders = parse_order_by(request.order_by, listing.orders)
    with violations.collect():
        last = dependencies.page_tokens.decode(request.page_token, binding)
    violations.raise_if_any()
    query = ListQuery(
        parent=parent,
        limit=_LOOKED_AT if parent.has_wildcard else size + 1,
        comparisons=comparisons,
        order=orders,
        after=last,
        show_deleted=getattr(request, "show_deleted", False),
        view=view,
    )
    rows = reader.page(query)
    if not rows and not parent.has_wildcard and not listing.parent_exists(parent):
        raise NotFound(
            f"{parent.text} does not exist",
            reason=reasons.PARENT_NOT_FOUND,
            metadata={"resource": parent.text},
            resource=ResourceInfo(listing.parent_type, parent.text),
        )
    if parent.has_wildcard:
        shown, more = _visible(call, rows, size, action=listing.action, full=query.limit)
    else:
        shown, more = _fitting(rows, size)
        for row in shown[:1]:
            judge_anew(dependencies, call, row.policy_revision, parent.text)
    token = ""
    if more is not None:
        token = dependencies.page_tokens.encode(more.position, binding)
    return listing.response(shown, token)


def _fitting(rows: Sequence[Stored], size: int) -> tuple[Sequence[Stored], Stored | None]:
    """Answer the rows of a page, and the last one where more follow."""
    total = 0
    for count, row in enumerate(rows):
        total += len(row.body)
        if count == size or (count and total > _PAGE_BYTES):
            return rows[:count], rows[count - 1]
    return rows, None


def _visible(
    call: Call, rows: Sequence[Stored], size: int, *, action: str, full: int
) -> tuple[Sequence[Stored], Stored | None]:
    """Answer the rows that the caller may see, and from where to go on."""
    shown: list[Stored] = []
    total = 0
    for row in rows:
        if not call.access.allowed(action, row.key):
            continue
        total += len(row.body)
        if len(shown) == size or (shown and total > _PAGE_BYTES):
            return shown, shown[-1]
        shown.append(row)
    return shown, rows[-1] if len(rows) == full else None


def judge_anew(
    dependencies: Dependencies,
    call: Call,
    policy_revision: int,
    scope: str,
    *,
    action: str = "",
) -> None:
    """Judge a row that was written under a newer policy than the call's by that policy.

    `action` is that of the method where it is empty.

    Otherwise what was published after an access was taken away could still be read by it
    (authorization.md 3, rule 1).
    """
    access: Any = call.access
    if policy_revision <= access.revision:
        return
    newer = dependencies.control.at_least(access, call.caller, policy_revision, call.deadline)
    newer.require(action or call.policy.action, scope)
