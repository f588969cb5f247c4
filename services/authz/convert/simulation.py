"""What is proposed, what is asserted of it and what was found, between domain and contract."""

from collections.abc import Callable
from typing import Final

from stoa.authz.v1 import simulation_pb2 as pb

from services.authz.convert.changes import permission
from services.policy.findings import Finding, Whom

_GAINED: Final = pb.AccessFinding.EFFECT_GAINED
_LOST: Final = pb.AccessFinding.EFFECT_LOST


def finding(one: Finding, spelling: Callable[[str], str]) -> pb.AccessFinding:
    """Answer a finding as the contract spells it."""
    found = pb.AccessFinding(
        effect=_GAINED if one.gained else _LOST,
        scope=spelling(one.scope),
        permission=permission(one.permissions),
        change_index=one.step,
    )
    match one.whom:
        case Whom.COMMUNITY:
            found.community = True
        case Whom.EVERYONE:
            found.everyone = True
        case Whom.PRINCIPAL:
            found.principal = spelling(one.who)
        case Whom.SUBSCRIPTION:
            found.subscription = spelling(one.who)
        case Whom.TENANT:
            found.tenant = spelling(one.who)
    return found
