"""Gets and lists: rows that are messages already, answered as they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.catalog.domain import reasons
from services.catalog.ports.reading import ListQuery, Reader, Stored, Visible, above_wildcards
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.mutations import scope_of
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.filter import Kind, parse_filter, parse_order_by
from services.kernel.names import Name
from services.kernel.paging import PageBinding, page_size
from services.kernel.rpc.call import Call

# A page holds at most this many bytes of resources, and at least one (performance.md, section 7).
_PAGE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """How one kind is listed: the fields of filters and orders, and what makes the response.

    `response` is called with the rows of the page and the token of the next one.
    """

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
    """Answer a page of a list, by one statement.

    Below a name with `-` the page holds what the caller may see, decided at one revision of the
    policy. The next page is decided anew, at that revision or a later one: what was taken away in
    between is not shown any more. A token therefore binds the caller and what was asked for, and
    for these lists it carries the revision that must have been reached.

    Raises:
        InvalidArgument: the filter, the order, the page size or the token.
        NotFound: PARENT_NOT_FOUND.
        Unavailable: there is no policy here that is fresh enough for a list.
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
    last: tuple[Any, ...] | None = None
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
        limit=size + 1,
        comparisons=comparisons,
        order=orders,
        after=last,
        show_deleted=getattr(request, "show_deleted", False),
        view=view,
    )
    if parent.has_wildcard:
        rows, position = _seen(dependencies, call, reader, query, size=size)
    else:
        rows, position = _below(dependencies, call, reader, query, size=size, listing=listing)
    token = "" if position is None else dependencies.page_tokens.encode(position, binding)
    return listing.response(rows, token)


def _below(
    dependencies: Dependencies,
    call: Call,
    reader: Reader,
    query: ListQuery,
    *,
    size: int,
    listing: Listing,
) -> tuple[Sequence[Stored], tuple[Any, ...] | None]:
    """Answer the rows of a page below one parent, and where the next page begins."""
    parent = query.parent
    rows = reader.page(query)
    if not rows and not listing.parent_exists(parent):
        raise NotFound(
            f"{parent.text} does not exist",
            reason=reasons.PARENT_NOT_FOUND,
            metadata={"resource": parent.text},
            resource=ResourceInfo(listing.parent_type, parent.text),
        )
    shown, last = _fitting(rows, size)
    if shown:
        newest = max(row.policy_revision for row in shown)
        judge_anew(dependencies, call, newest, parent.text)
    return shown, None if last is None else last.position


def _seen(
    dependencies: Dependencies, call: Call, reader: Reader, query: ListQuery, *, size: int
) -> tuple[Sequence[Stored], tuple[Any, ...] | None]:
    """Answer the rows of a page that the caller may see, and where the next page begins."""
    access: Any = call.access
    action = call.policy.action
    if query.after is not None:
        reached, *position = query.after
        access = dependencies.control.at_least(access, call.caller, reached, call.deadline)
        query = replace(query, after=tuple(position))
    found = access.accessible(action, above_wildcards(query.parent))
    if not found.allowed:
        return (), None
    visible = Visible(found.allowed, found.denied, found.denied_here)
    shown, last = _fitting(reader.page(replace(query, visible=visible)), size)
    # What was written under a newer policy is shown where that one allows it too.
    newest = max((row.policy_revision for row in shown), default=0)
    if newest > access.revision:
        newer = dependencies.control.at_least(access, call.caller, newest, call.deadline)
        revision = access.revision
        shown = [
            row
            for row in shown
            if row.policy_revision <= revision or newer.allowed(action, row.key)
        ]
        access = newer
    return shown, None if last is None else (access.revision, *last.position)


def _fitting(rows: Sequence[Stored], size: int) -> tuple[Sequence[Stored], Stored | None]:
    """Answer the rows of a page, and the last one where more follow."""
    total = 0
    for count, row in enumerate(rows):
        total += len(row.body)
        if count == size or (count and total > _PAGE_BYTES):
            return rows[:count], rows[count - 1]
    return rows, None


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
