"""Use and limits of subscriptions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stoa.catalog.v1 import usage_pb2
from stoa.catalog.v1 import usage_service_pb2 as pb

from services.catalog.convert.usages import METRICS, UNITS, encode
from services.catalog.domain import names, reasons
from services.catalog.domain.region import Prices, location_key
from services.catalog.domain.targets import note_unknown
from services.catalog.domain.usage import Counted, Metric, month_of
from services.catalog.ports.usage import UsagePage, UsageQuery
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.mutations import scope_of
from services.catalog.servicers.view_filters import Fields, fits
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.filter import Comparison, Kind, Order, parse_filter, parse_order_by
from services.kernel.names import WILDCARD, Name, fold, key
from services.kernel.paging import PageBinding, page_size
from services.kernel.rpc.call import Call
from services.kernel.violations import Violations
from services.policy.accessible import Accessible

_FIELDS: Final[Fields] = {
    "location": Kind.STRING,
    "metric": frozenset(one.name for one in METRICS),
    "unit": frozenset(one.name for one in UNITS),
    "current_value": Kind.INTEGER,
    "limit": Kind.INTEGER,
}
_METRICS: Final = {fold(one.value): one for one in Metric}
# So many subscriptions are named in a statement; beyond, all of them are read.
_NAMED: Final = 1_000

_Position = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class _Page:
    """What a list was asked for, read; `after` is the last usage of the page before."""

    size: int
    binding: PageBinding
    comparisons: Sequence[Comparison]
    descending: bool
    after: _Position | None


class UsageServicer:
    """Counters and limits, put together when they are asked for."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies

    def GetUsage(self, request: pb.GetUsageRequest, call: Call) -> usage_pb2.Usage:
        name = scope_of(call)
        location = location_key(name.ids["location"])
        month = month_of(self._d.clock.now())
        counted = self._d.usage.of(names.subscription_of(name.key), location, month)
        prices = self._prices([counted], name, "name", call.violations)
        metric = _METRICS.get(fold(name.id))
        if metric is None or self._d.subscriptions.find(counted.subscription) is None:
            raise NotFound.of(names.USAGE_TYPE, name.text)
        return encode(counted.usage(metric, self._d.limits, prices))

    def ListUsages(self, request: pb.ListUsagesRequest, call: Call) -> pb.ListUsagesResponse:
        parent = scope_of(call)
        asked = self._read(request, call)
        found = self._places(call, parent, asked)
        prices = self._prices(found.places, parent, "parent", call.violations)
        if parent.ids["subscription"] != WILDCARD:
            self._require_subscription(parent)
        shown: list[usage_pb2.Usage] = []
        last: _Position | None = None
        for position, message in self._after(found.places, asked, prices):
            if len(shown) == asked.size:
                return self._answer(shown, last, asked)
            shown.append(message)
            last = position
        if found.last is not None:
            last = (*found.last, 0 if asked.descending else len(Metric) - 1)
        return self._answer(shown, None if found.last is None else last, asked)

    def _places(self, call: Call, parent: Name, asked: _Page) -> UsagePage:
        """Answer places that a name means; all metrics of a place that is named itself.

        Raises:
            PermissionDenied: one subscription is named, and the action is not held there.
        """
        month = month_of(self._d.clock.now())
        location = location_key(parent.ids["location"])
        subscription = names.subscription_of(parent.key)
        if not parent.has_wildcard:
            return UsagePage([self._d.usage.of(subscription, location, month)])
        query = UsageQuery(
            subscription,
            None if location == WILDCARD else location,
            month,
            descending=asked.descending,
            start=None if asked.after is None else asked.after[:2],
        )
        if parent.ids["subscription"] != WILDCARD:
            call.access.require(call.policy.action, subscription)
            return self._d.usage.page(query)
        access: Any = call.access
        seen: Accessible = access.accessible(call.policy.action)
        allowed = sorted({names.subscription_of(one) for one in seen.allowed})
        query = replace(query, subscription=None, allowed=allowed[: _NAMED + 1])
        if len(allowed) > _NAMED:
            query = replace(query, allowed=None)
        found = self._d.usage.page(query)
        places = [one for one in found.places if seen.covers(one.key)]
        return replace(found, places=places)

    def _prices(
        self, places: Sequence[Counted], asked: Name, field: str, violations: Violations
    ) -> Mapping[str, Prices]:
        """Answer the prices of places and of where their bytes came from, by one statement.

        Raises:
            InvalidArgument: REGION_UNKNOWN of the region that was asked for.
        """
        sent = asked.ids["location"]
        wanted = {one.location for one in places}.union(*(one.homes for one in places))
        if sent != WILDCARD:
            wanted.add(location_key(sent))
        regions = self._d.regions.find(sorted(wanted))
        if sent != WILDCARD and regions[location_key(sent)] is None:
            note_unknown(violations, field, sent, known=self._d.regions.known())
        violations.raise_if_any()
        return {one.id: one.prices for one in regions.values() if one and one.prices}

    def _require_subscription(self, parent: Name) -> None:
        name = names.subscription_of(parent.text)
        if self._d.subscriptions.find(key(name)) is None:
            raise NotFound(
                f"{name} does not exist",
                reason=reasons.PARENT_NOT_FOUND,
                metadata={"resource": name},
                resource=ResourceInfo(names.SUBSCRIPTION_TYPE, name),
            )

    def _after(
        self, places: Sequence[Counted], asked: _Page, prices: Mapping[str, Prices]
    ) -> Iterator[tuple[_Position, usage_pb2.Usage]]:
        """Answer the usages that were asked for, after those of the pages before."""
        step = -1 if asked.descending else 1
        for place in places:
            found = list(enumerate(place.usages(self._d.limits, prices)))
            for number, usage in found[::step]:
                position = (place.subscription, place.location, number)
                if not _comes_after(position, asked):
                    continue
                message = encode(usage)
                if fits(message, asked.comparisons):
                    yield position, message

    def _read(self, request: pb.ListUsagesRequest, call: Call) -> _Page:
        violations = call.violations
        binding = PageBinding(
            method=call.policy.path,
            parent=scope_of(call).key,
            caller=call.caller.id,
            filter=request.filter,
            order_by=request.order_by,
        )
        size = 0
        comparisons: Sequence[Comparison] = ()
        order: Sequence[Order] = ()
        after: tuple[Any, ...] | None = None
        with violations.collect():
            size = page_size(request.page_size)
        with violations.collect():
            comparisons = parse_filter(request.filter, _FIELDS)
        with violations.collect():
            order = parse_order_by(request.order_by, ("name",))
        with violations.collect():
            after = self._d.page_tokens.decode(request.page_token, binding)
        violations.raise_if_any()
        descending = any(one.descending for one in order)
        last = None if after is None else (str(after[0]), str(after[1]), int(after[2]))
        return _Page(size, binding, comparisons, descending, last)

    def _answer(
        self, shown: Sequence[usage_pb2.Usage], last: _Position | None, asked: _Page
    ) -> pb.ListUsagesResponse:
        token = "" if last is None else self._d.page_tokens.encode(last, asked.binding)
        return pb.ListUsagesResponse(usages=shown, next_page_token=token)


def _comes_after(position: _Position, asked: _Page) -> bool:
    if asked.after is None:
        return True
    return position < asked.after if asked.descending else position > asked.after
