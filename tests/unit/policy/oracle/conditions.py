"""Conditions on the delegation of roles: as the original writes them, and in Cedar.

What needs an attribute that is missing is neither true nor false, and only what is certainly true
grants (authorization.md 1.2). So each part is told twice: when it is certainly true, and when it
is certainly false.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from services.policy.builtin_roles import CONTRIBUTOR, OWNER, READER

PREFIX: Final = "Microsoft.Authorization/roleAssignments"
SOURCES: Final = ("Request", "Resource")
ROLES: Final = tuple(role.id for role in (OWNER, CONTRIBUTOR, READER))
TYPES: Final = ("User", "Group", "ServicePrincipal")
PEOPLE: Final = ("3f0d5c1e-0000-4000-8000-00000000000a", "3f0d5c1e-0000-4000-8000-00000000000b")
#: The attributes that there are, with what they may be and the operator for it.
VALUES: Final = {
    "RoleDefinitionId": (ROLES, "Guid"),
    "PrincipalId": (PEOPLE, "Guid"),
    "PrincipalType": (TYPES, "String"),
}
MAKE_ELIGIBLE: Final = "Microsoft.Authorization/roleEligibilityScheduleRequests/write"
ACTIONS: Final = (f"{PREFIX}/write", f"{PREFIX}/delete", f"{PREFIX}/read", MAKE_ELIGIBLE)
PATTERNS: Final = (*ACTIONS, f"{PREFIX}/*", "*/Write")
# What the action may be taken for besides itself.
_TAKEN_FOR: Final = "context.takenFor"


@dataclass(frozen=True)
class Condition:
    """A condition's text, and when it certainly holds and certainly does not."""

    text: str
    holds: str
    fails: str

    @property
    def grants(self) -> str:
        """When it lets through what its assignment permits.

        Who makes somebody eligible gives and takes a role later: both have to be allowed
        (ADR 0014).
        """
        alone = self.holds.replace(_TAKEN_FOR, '""')
        both = " && ".join(
            self.holds.replace(_TAKEN_FOR, json.dumps(f"{PREFIX}/{verb}".lower()))
            for verb in ("write", "delete")
        )
        eligible = f"context.action == {json.dumps(MAKE_ELIGIBLE.lower())}"
        return f"(if {eligible} then ({both}) else ({alone}))"


def condition(random: Random, depth: int = 2) -> Condition:
    """A random condition that this release evaluates."""
    chance = random.random()
    if depth == 0 or chance < 0.25:
        return random.choice((_action, _attribute, _attribute))(random)
    if chance < 0.45:
        of = condition(random, depth - 1)
        sign = random.choice(("!", "NOT "))
        return Condition(f"{sign}({of.text})", of.fails, of.holds)
    parts = [condition(random, depth - 1) for _ in range(random.choice((2, 2, 3)))]
    if chance < 0.7:
        return _junction(parts, random.choice((" AND ", " && ")), all_of=True)
    return _junction(parts, random.choice((" OR ", " || ")), all_of=False)


def _junction(parts: Sequence[Condition], word: str, *, all_of: bool) -> Condition:
    text = word.join(f"({one.text})" for one in parts)
    true, false = (" && ", " || ") if all_of else (" || ", " && ")
    holds = true.join(one.holds for one in parts)
    fails = false.join(one.fails for one in parts)
    return Condition(text, f"({holds})", f"({fails})")


def _action(random: Random) -> Condition:
    action = random.choice(PATTERNS)
    pattern = json.dumps(action.lower())
    holds = f"context.action like {pattern} || {_TAKEN_FOR} like {pattern}"
    text = f"ActionMatches{{'{action}'}}"
    return Condition(text, f"({holds})", f"!({holds})")


def _attribute(random: Random) -> Condition:
    """A comparison of the one value that an attribute has with several."""
    source, name = random.choice(SOURCES), random.choice(list(VALUES))
    values, kind = VALUES[name]
    some = random.sample(values, random.randint(1, 2))
    equal = random.random() < 0.7
    if kind == "Guid":
        listed = ", ".join(random.choice((one, one.upper())) for one in some)
        operator = "GuidEquals" if equal else "GuidNotEquals"
    else:
        listed = ", ".join(f"'{random.choice((one, one.upper()))}'" for one in some)
        operator = "StringEqualsIgnoreCase" if equal else "StringNotEqualsIgnoreCase"
    quantifier = "ForAnyOfAnyValues" if equal else "ForAnyOfAllValues"
    text = f"@{source}[{PREFIX}:{name}] {quantifier}:{operator} {{{listed}}}"
    where, field = f"context.{source.lower()}", name.lower()
    known = f"{where} has {field}"
    found = f"{json.dumps([one.lower() for one in some])}.contains({where}.{field})"
    among, other = f"({known} && {found})", f"({known} && !{found})"
    return Condition(text, among, other) if equal else Condition(text, other, among)


def attributes(random: Random) -> tuple[tuple[str, str, str], ...]:
    """What a question says about an assignment: source, attribute, value; some left out."""
    return tuple(
        (source, name, random.choice(values))
        for source in SOURCES
        for name, (values, _) in VALUES.items()
        if random.random() < 0.5
    )
