"""What servicers make of requests: their identity for a repeat, lists, pages, locations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from services.kernel.db.tables import from_microseconds, to_microseconds
from services.kernel.filter import Comparison, Kind, parse_filter, parse_order_by
from services.kernel.names import key
from services.kernel.paging import KeyValue, PageBinding, PageTokens, page_size
from services.kernel.request_digest import request_digest
from services.kernel.rpc.call import Call
from services.kernel.violations import Violations
from services.replication.domain.names import location_key
from services.replication.ports.requests import Listing, Request

ReplyT = TypeVar("ReplyT")
TIMES: Final = frozenset({"create_time", "update_time"})


def identified(
    message: Any, call: Call, encode: Callable[[ReplyT], bytes], *, names: Sequence[str] = ()
) -> Request[ReplyT]:
    """Answer a change as its caller asked for it; `names` are its fields that hold names."""
    rest = type(message)()
    rest.CopyFrom(message)
    rest.ClearField("request_id")
    for field in names:
        rest.ClearField(field)
    digest = request_digest(
        call.policy.path,
        {field: getattr(message, field) for field in names},
        rest.SerializeToString(deterministic=True),
    )
    return Request(call.caller.id, call.policy.path, message.request_id, digest, encode)


def serialized(message: Message) -> bytes:
    """Answer the bytes of a reply."""
    return message.SerializeToString()


class Pages:
    """Reads the page, the filter and the order of a list request, and makes the next token."""

    def __init__(self, tokens: PageTokens) -> None:
        self._tokens: Final = tokens

    def listing(
        self,
        request: Any,
        call: Call,
        *,
        fields: Mapping[str, Kind | Collection[str]],
        columns: Mapping[str, str],
        orders: Mapping[str, tuple[str, ...]],
        default: str,
        extra: str = "",
    ) -> tuple[Listing, PageBinding]:
        """Answer what is listed, and the binding of its tokens.

        `fields` may be filtered on, by `columns` where those are named otherwise; `orders` are
        the columns of each field that may be ordered by, `default` with ` desc` the usual one.

        Raises:
            InvalidArgument: everything that is wrong with filter, order, size and token.
        """
        violations: Violations = call.violations
        found: list[Comparison] = []
        with violations.collect():
            found = [
                replace(one, field=columns.get(one.field, one.field))
                for one in parse_filter(request.filter, fields)
            ]
        chosen = orders[default.partition(" ")[0]]
        descending = default.endswith(" desc")
        with violations.collect():
            asked = parse_order_by(request.order_by, orders.keys())
            if len(asked) > 1:
                violations.add("order_by", "the list is ordered by one field")
            elif asked:
                chosen, descending = orders[asked[0].field], asked[0].descending
        limit = 1
        with violations.collect():
            limit = page_size(request.page_size)
        binding = PageBinding(
            call.policy.path,
            getattr(request, "parent", ""),
            call.caller.id,
            request.filter,
            request.order_by,
            extra,
        )
        after: tuple[Any, ...] | None = None
        with violations.collect():
            values = self._tokens.decode(request.page_token, binding)
            if values is not None:
                after = tuple(
                    from_microseconds(int(value)) if column in TIMES else value
                    for column, value in zip(chosen, values, strict=True)
                )
        violations.raise_if_any()
        return Listing(limit, chosen, descending, after, tuple(found)), binding

    def token(self, values: Sequence[Any] | None, binding: PageBinding) -> str:
        """Answer the token that goes on after a row with these values; empty after the last."""
        if values is None:
            return ""
        plain: list[KeyValue] = [
            to_microseconds(value) if isinstance(value, datetime) else value for value in values
        ]
        return self._tokens.encode(plain, binding)


def prefix_of(parent: str) -> str:
    """Answer what the keys of all names below a parent with `-` in it begin with."""
    return key(parent).partition("/-")[0] + "/"


def matches(parent: str) -> Callable[[str], bool]:
    """Answer whether a name is one that a parent with `-` in it stands for."""
    wanted = key(parent).split("/")

    def fits(name: str) -> bool:
        parts = key(name).split("/")
        return len(parts) == len(wanted) and all(
            one in {"-", part} for one, part in zip(wanted, parts, strict=True)
        )

    return fits


def locations_of(
    texts: Sequence[str],
    resolve: Callable[[str], str | None],
    known: Callable[[], Sequence[str]],
    violations: Violations,
) -> tuple[str, ...]:
    """Answer region ids for ids or display names; REGION_UNKNOWN, REGION_REPEATED."""
    found: list[str] = []
    for index, text in enumerate(texts):
        field = f"locations[{index}]"
        location = resolve(location_key(text))
        if location is None:
            violations.add(
                field,
                f"there is no region {text}",
                reason="REGION_UNKNOWN",
                metadata={"location": text, "known": ",".join(known())},
            )
        elif location in found:
            violations.add(
                field,
                f"{location} is named twice",
                reason="REGION_REPEATED",
                metadata={"location": location},
            )
        else:
            found.append(location)
    return tuple(found)
