"""Reading the audit log."""

from collections.abc import Collection, Mapping
from typing import Final

from services.authz.domain.audit import AuditRecord, Outcome
from services.authz.ports.audit import AuditPage, AuditStore
from services.authz.ports.policy import PolicyStore
from services.authz.usecases.finding import require_parent
from services.authz.usecases.listing import Asked
from services.kernel.filter import Comparison, Kind, Order, parse_filter, parse_order_by
from services.kernel.names import ROOT, key
from services.kernel.paging import KeyValue, PageBinding, PageTokens, page_size
from services.kernel.violations import Violations
from services.policy.decision import Reason

FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    "event_time": Kind.TIME,
    "caller": Kind.STRING,
    "workload": Kind.STRING,
    "method": Kind.STRING,
    "action": Kind.STRING,
    "resource": Kind.STRING,
    "outcome": frozenset(one.name for one in Outcome),
    "reason": frozenset(one.value for one in Reason),
    "decision_id": Kind.STRING,
    "request_id": Kind.STRING,
    "revision": Kind.INTEGER,
}


def page_of(  # noqa: PLR0917 - the parts of one list
    store: PolicyStore,
    audit: AuditStore,
    tokens: PageTokens,
    asked: Asked,
    violations: Violations,
) -> tuple[list[AuditRecord], str]:
    """Answer a page of the records of a subscription, a tenant or the installation.

    Those of a tenant hold all its subscriptions', those of the installation everything.

    Raises:
        InvalidArgument: the filter, the order or the token, with everything else.
        NotFound: PARENT_NOT_FOUND.
    """
    filters: tuple[Comparison, ...] = ()
    orders: tuple[Order, ...] = ()
    after: tuple[KeyValue, ...] | None = None
    size = 0
    binding = PageBinding(
        asked.method, asked.parent, asked.caller, filter=asked.filter, order_by=asked.order_by
    )
    with violations.collect():
        filters = tuple(map(_stored, parse_filter(asked.filter, FIELDS)))
    with violations.collect():
        orders = parse_order_by(asked.order_by, ("event_time",))
    with violations.collect():
        after = tokens.decode(asked.page_token, binding)
    with violations.collect():
        size = page_size(asked.page_size)
    violations.raise_if_any()
    store.read(lambda facts: require_parent(facts, asked.parent))
    parent = key(asked.parent)
    tenant = parent.startswith("tenants/")
    rows = audit.page(
        AuditPage(
            limit=size + 1,
            chain=parent if tenant else "",
            home=parent if parent != ROOT and not tenant else "",
            descending=orders[0].descending if orders else True,
            filters=filters,
            after=after,
        )
    )
    records = [record for record, _ in rows[:size]]
    return records, tokens.encode(rows[size - 1][1], binding) if len(rows) > size else ""


def _stored(comparison: Comparison) -> Comparison:
    if comparison.field == "outcome":
        value = Outcome[str(comparison.value)].value
        return Comparison(comparison.field, comparison.op, value)
    return comparison
