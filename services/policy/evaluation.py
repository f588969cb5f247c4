"""The decision algorithm (authorization.md 1.3).

Denies come first and are final. Then every role that the caller holds on the chain, by
themselves or through a group, is asked by itself: `actions - notActions`, united across
roles. A view of a shared gallery needs the publisher's grant besides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from services.kernel.errors import InvalidName
from services.policy.actions import KNOWN, ActionRegistry
from services.policy.conditions import NO_ATTRIBUTES
from services.policy.decision import INVALID, Decision, Question, Reason
from services.policy.index import PolicyIndex
from services.policy.scopes import Scope, View
from services.policy.search import Search
from services.policy.sharing import Coverage

#: The reason for which a view is open to a consumer.
COVERED: Final[Mapping[Coverage, Reason]] = MappingProxyType(
    {
        Coverage.SUBSCRIPTION: Reason.SHARED_SUBSCRIPTION,
        Coverage.TENANT: Reason.SHARED_TENANT,
        Coverage.COMMUNITY: Reason.COMMUNITY,
    }
)


def evaluate(
    index: PolicyIndex,
    caller: str,
    question: Question,
    *,
    now: datetime,
    registry: ActionRegistry = KNOWN,
) -> Decision:
    """Decide one question at the revision of `index`.

    Args:
        index: the policy.
        caller: the key of the principal that asks; one that is unknown holds nothing.
        question: what is asked.
        now: the time of the evaluator's clock, aware.
        registry: the actions that may be asked about.
    """
    action = registry.find(question.action, question.plane)
    if action is None:
        wild = "*" in question.action
        reason = Reason.WILDCARD_ACTION if wild else Reason.MALFORMED_ACTION
        return Decision(False, reason, index.revision)
    try:
        scope = Scope.parse(question.scope)
    except InvalidName:
        return Decision(False, Reason.MALFORMED_RESOURCE, index.revision)
    key = (caller, action, question.plane, scope.key)
    attributes = question.attributes
    # Attributes are of one call; what was decided without them says nothing about it.
    known = index.remembered(key) if attributes is None else None
    if known is not None:
        return known
    search = Search(
        index,
        caller,
        action,
        plane=question.plane,
        now=now,
        attributes=NO_ATTRIBUTES if attributes is None else attributes,
    )
    decision = _decide(index, scope, action, search)
    if search.is_timeless and attributes is None:
        index.remember(key, decision)
    return decision


def _decide(index: PolicyIndex, scope: Scope, action: str, search: Search) -> Decision:
    chain = index.chain(scope)
    denial = search.denial(chain, scope.key)
    if denial is not None:
        return denial
    if scope.view is not None and not is_view_read(scope.view, action):
        return Decision(False, Reason.PROXY_READ_ONLY, index.revision)
    decision = search.grant(chain)
    if scope.view is None or not decision.allowed:
        return decision
    return _publisher_side(index, scope.view, decision)


def evaluate_all(
    index: PolicyIndex,
    items: Sequence[tuple[str, Question]],
    *,
    now: datetime,
    registry: ActionRegistry = KNOWN,
) -> Decision:
    """Decide a conjunction: the target first, then its sources (authorization.md 1.5).

    Each question goes with the principal that asks it: the same person may be another
    principal in the tenant of a source.
    """
    if not items:
        raise ValueError("a conjunction of nothing would always hold")
    for item, (caller, question) in enumerate(items):
        found = evaluate(index, caller, question, now=now, registry=registry)
        if not found.allowed:
            reason = _linked(found.reason) if item else found.reason
            return replace(found, reason=reason, item=item)
    if len(items) == 1:
        return found
    return Decision(True, Reason.TARGET_AND_SOURCE, index.revision, item=len(items) - 1)


def _linked(reason: Reason) -> Reason:
    if reason in INVALID:
        return reason
    if reason is Reason.DENY_ASSIGNMENT:
        return Reason.LINKED_SOURCE_DENY_ASSIGNMENT
    return Reason.LINKED_SOURCE_DENIED


def is_view_read(view: View, action: str) -> bool:
    """Whether a folded action is one of reading views of this kind."""
    prefix = f"microsoft.compute/locations/{view.kind.value}/"
    return action.startswith(prefix) and action.endswith("/read")


def _publisher_side(index: PolicyIndex, view: View, consumer_side: Decision) -> Decision:
    consumer = index.directory.subscriptions.get(view.consumer)
    found = None if consumer is None else index.sharing.resolve(view, consumer)
    if found is None:
        return Decision(False, Reason.NOT_SHARED, index.revision, consumer_side.assignment)
    grant, by = found
    return Decision(
        True, COVERED[by], index.revision, consumer_side.assignment, grant=grant.gallery
    )
