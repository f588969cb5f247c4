"""What Cedar decides about questions, and which reasons it leaves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from services.policy.decision import Reason
from tests.unit.policy.oracle.conditions import SOURCES
from tests.unit.policy.oracle.questions import Asked
from tests.unit.policy.oracle.translation import (
    DECIDING,
    Policy,
    Says,
    entities,
    kind_of,
    moment,
    plane_name,
    policies,
)
from tests.unit.policy.oracle.worlds import World, view_of

#: What each policy makes of a denial, the most specific first (decision.proto). Where the contract
#: does not say which of several holds, each of them will do.
_WHY: Final = (
    (Says.FALSE, {Reason.CONDITION_FALSE}),
    (Says.UNSUPPORTED, {Reason.CONDITION_UNSUPPORTED}),
    (
        Says.ALMOST,
        {
            Reason.CONDITION_FALSE,
            Reason.CONDITION_UNSUPPORTED,
            Reason.ELIGIBLE_NOT_ACTIVE,
            Reason.NOT_YET_ACTIVE,
            Reason.EXPIRED,
        },
    ),
    (Says.ELIGIBLE, {Reason.ELIGIBLE_NOT_ACTIVE}),
    (Says.NOT_YET, {Reason.NOT_YET_ACTIVE}),
    (Says.EXPIRED, {Reason.EXPIRED}),
    (Says.HELD, {Reason.ACTION_NOT_IN_ROLE}),
    (Says.HELD_ONCE, {Reason.ACTION_NOT_IN_ROLE, Reason.NO_MATCHING_GRANT}),
)
_COVERED: Final = {
    Says.SHARED_SUBSCRIPTION: Reason.SHARED_SUBSCRIPTION,
    Says.SHARED_TENANT: Reason.SHARED_TENANT,
    Says.COMMUNITY: Reason.COMMUNITY,
}


@dataclass(frozen=True)
class Verdict:
    """Whether it is allowed, for one of these reasons, because of one of these records."""

    allowed: bool
    reasons: frozenset[Reason]
    because: frozenset[str]


class Cedar:
    """One world, ready to be asked about."""

    def __init__(self, world: World) -> None:
        self._world = world
        found = policies(world)
        self._deciding = _Set([one for one in found if one.says in DECIDING])
        # What is held is told once more, for Cedar names no `permit` that a `forbid` beats.
        telling = [one for one in found if one.effect == "permit"]
        self._telling = _Set(telling)

    def decide(self, asked: Sequence[Asked]) -> list[Verdict]:
        """Decide all questions."""
        known = cedarpy.Entities.from_json_str(
            json.dumps(
                entities(self._world, [one.caller for one in asked], [one.scope for one in asked])
            )
        )
        requests = [_request(one) for one in asked]
        decided = self._deciding.apply(requests, known)
        told = self._telling.apply(requests, known)
        return [
            self._verdict(one, allowed, applied, telling)
            for one, (allowed, applied), (_, telling) in zip(asked, decided, told, strict=True)
        ]

    def _verdict(
        self, asked: Asked, allowed: bool, applied: list[Policy], telling: list[Policy]
    ) -> Verdict:
        says = {one.says for one in applied}
        if allowed and view_of(asked.scope) is not None:
            covers = [one for one in telling if one.says in _COVERED]
            reasons = frozenset(_COVERED[one.says] for one in covers)
            return Verdict(True, reasons, frozenset(one.about for one in covers))
        if allowed:
            by = frozenset(one.about for one in applied)
            return Verdict(True, frozenset({Reason.ROLE_ASSIGNMENT}), by)
        if Says.DENY in says:
            by = frozenset(one.about for one in applied if one.says is Says.DENY)
            return Verdict(False, frozenset({Reason.DENY_ASSIGNMENT}), by)
        return Verdict(False, self._refusal(says, {one.says for one in telling}), frozenset())

    def _refusal(self, says: set[Says], telling: set[Says]) -> frozenset[Reason]:
        # The right in the consumer's subscription comes first, then the publisher's grant.
        because_of_view = Reason.PROXY_READ_ONLY if Says.READ_ONLY in says else Reason.NOT_SHARED
        if Says.GRANT in telling:
            return frozenset({because_of_view})
        if because_of_view is Reason.PROXY_READ_ONLY:
            return frozenset({because_of_view, *_why(telling)})
        return _why(telling)


class _Set:
    """Policies that are applied together."""

    def __init__(self, found: list[Policy]) -> None:
        self._by_id = {f"policy{number}": policy for number, policy in enumerate(found)}
        self._parsed = cedarpy.PolicySet.from_str("\n".join(policy.text() for policy in found))

    def apply(
        self, requests: list[dict[str, Any]], known: cedarpy.Entities
    ) -> list[tuple[bool, list[Policy]]]:
        """Answer for each request whether it is allowed and the policies that decided it."""
        answers = cedarpy.is_authorized_batch(requests, self._parsed, known)
        for answer in answers:
            assert not answer.diagnostics.errors, answer.diagnostics.errors
        return [
            (answer.allowed, [self._by_id[one] for one in answer.diagnostics.reasons])
            for answer in answers
        ]


def _why(telling: set[Says]) -> frozenset[Reason]:
    for says, reasons in _WHY:
        if says in telling:
            return frozenset(reasons)
    return frozenset({Reason.NO_MATCHING_GRANT})


def _request(asked: Asked) -> dict[str, Any]:
    return {
        "principal": {"type": "Caller", "id": asked.caller},
        "action": {"type": "Action", "id": "do"},
        "resource": {"type": kind_of(asked.scope), "id": asked.scope},
        "context": {
            "action": asked.action.lower(),
            "plane": plane_name(asked.plane),
            "now": moment(asked.now),
            **{source.lower(): _attributes(asked, source) for source in SOURCES},
        },
    }


def _attributes(asked: Asked, source: str) -> dict[str, str]:
    return {name.lower(): value.lower() for of, name, value in asked.attributes if of == source}
