"""Conditions of role assignments: whom a delegate may give which roles (authorization.md 1.2).

Evaluated are those on the role assignment that is written or deleted: its role, its principal
and what that is, and the action. What else the original knows is read and never evaluated: it
voids the assignment that carries it. Logic has three values: what needs an attribute that is
not there is unknown, and so is its negation; only what is certainly true grants.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, assert_never

from services.kernel.names import fold
from services.policy.condition_syntax import (
    Attribute,
    Comparison,
    ConditionError,
    Exists,
    Expression,
    Function,
    Junction,
    Negation,
    Value,
    parse,
)
from services.policy.matching import matches, pattern_problem

ROLE_ID: Final = "Microsoft.Authorization/roleAssignments:RoleDefinitionId"
PRINCIPAL_ID: Final = "Microsoft.Authorization/roleAssignments:PrincipalId"
PRINCIPAL_TYPE: Final = "Microsoft.Authorization/roleAssignments:PrincipalType"

ASSIGN: Final = "Microsoft.Authorization/roleAssignments/write"
UNASSIGN: Final = "Microsoft.Authorization/roleAssignments/delete"
MAKE_ELIGIBLE: Final = "Microsoft.Authorization/roleEligibilityScheduleRequests/write"
#: The actions that are about one assignment, and are asked with its attributes.
DELEGABLE: Final = frozenset(map(fold, (ASSIGN, UNASSIGN, MAKE_ELIGIBLE)))
# Who makes somebody eligible gives them a role later, and the same action takes it back: a
# condition has to hold for giving roles and, asked once more, for taking them.
_STANDS_FOR: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        fold(MAKE_ELIGIBLE): (
            (fold(MAKE_ELIGIBLE), fold(ASSIGN)),
            (fold(MAKE_ELIGIBLE), fold(UNASSIGN)),
        )
    }
)
_ROLE: Final = fold(ROLE_ID)
_PRINCIPAL: Final = fold(PRINCIPAL_ID)
_TYPE: Final = fold(PRINCIPAL_TYPE)
_GUID: Final = re.compile(r"(?i:(roleDefinitions/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")

# How one spelling of an attribute is compared with one value, and whether that is negated.
_Equal = Callable[[str, str], bool]


def _same(one: str, two: str) -> bool:
    return one == two


def _alike(one: str, two: str) -> bool:
    return fold(one) == fold(two)


_GUIDS: Final[Mapping[str, tuple[_Equal, bool]]] = MappingProxyType(
    {"guidequals": (_alike, False), "guidnotequals": (_alike, True)}
)
_STRINGS: Final[Mapping[str, tuple[_Equal, bool]]] = MappingProxyType(
    {
        "stringequals": (_same, False),
        "stringnotequals": (_same, True),
        "stringequalsignorecase": (_alike, False),
        "stringnotequalsignorecase": (_alike, True),
    }
)
_OPERATORS: Final = MappingProxyType({_ROLE: _GUIDS, _PRINCIPAL: _GUIDS, _TYPE: _STRINGS})
# An attribute has one value, so that only "of any" and "of all" values of the other side differ.
_OF_ALL: Final = frozenset({"foranyofallvalues", "forallofallvalues"})

Spellings = Mapping[str, Collection[str]]
_NOTHING: Final[Spellings] = MappingProxyType({})


def _nothing() -> Spellings:
    return _NOTHING


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a question says about the assignment that it is about, by folded name of attribute.

    An attribute has one value, which may be spelled in several ways. `presumed` takes what is
    unknown for true: for the first look at a call whose attributes are judged later.
    """

    request: Spellings = field(default_factory=_nothing)
    resource: Spellings = field(default_factory=_nothing)
    presumed: bool = False

    @classmethod
    def of(cls, action: str, values: Spellings) -> "Attributes":
        """Put attributes where the original has them: of the request, or of what is deleted."""
        known = {fold(name): spellings for name, spellings in values.items()}
        folded = fold(action)
        if folded in _STANDS_FOR:
            return cls(known, known)
        return cls(resource=known) if folded.endswith("/delete") else cls(request=known)


NO_ATTRIBUTES: Final = Attributes()
PRESUMED: Final = Attributes(presumed=True)


def problem_of(text: str) -> ConditionError | None:
    """Say why a text cannot be the condition of an assignment, or None when it can."""
    try:
        expression = parse(text)
        for one in _leaves(expression):
            _refuse_senseless(one)
    except ConditionError as error:
        return error
    return None


@lru_cache(maxsize=4096)
def understood(text: str) -> Expression | None:
    """Answer a condition that is evaluated here, None for any other text."""
    if problem_of(text) is not None:
        return None
    expression = parse(text)
    return expression if all(map(_is_evaluated, _leaves(expression))) else None


def holds(expression: Expression, action: str, attributes: Attributes) -> bool | None:
    """Whether a condition that is understood holds; None: it needs what is not there.

    `action` is folded. Nothing is raised.
    """
    asked = _STANDS_FOR.get(action, ((action,),))
    found = {_holds(expression, names, attributes) for names in asked}
    if False in found:
        return False
    return None if None in found else True


def _holds(expression: Expression, action: tuple[str, ...], attributes: Attributes) -> bool | None:
    """As `holds`, of an action that goes by several names."""
    match expression:
        case Junction():
            found = {_holds(one, action, attributes) for one in expression.of}
            if (not expression.all) in found:
                return not expression.all
            return None if None in found else expression.all
        case Negation():
            inner = _holds(expression.of, action, attributes)
            return None if inner is None else not inner
        case Function():
            return any(matches(expression.argument.text, one) for one in action)
        case Comparison():
            return _compared(expression, attributes)
        case Exists():
            return None
        case _:
            assert_never(expression)


def _compared(comparison: Comparison, attributes: Attributes) -> bool | None:
    left, right = comparison.left, comparison.right
    if not isinstance(left, Attribute) or isinstance(right, Attribute):
        return None
    values = attributes.request if left.source == "request" else attributes.resource
    spellings = values.get(left.name)
    if not spellings:
        return None
    equal, negated = _OPERATORS[left.name][comparison.operator]
    found = (any(equal(one, value.text) for one in spellings) is not negated for value in right)
    return all(found) if comparison.quantifier in _OF_ALL else any(found)


def _leaves(expression: Expression) -> Iterable[Comparison | Function | Exists]:
    match expression:
        case Junction():
            for one in expression.of:
                yield from _leaves(one)
        case Negation():
            yield from _leaves(expression.of)
        case _:
            yield expression


def _is_evaluated(leaf: Comparison | Function | Exists) -> bool:
    match leaf:
        case Function():
            return leaf.name == "actionmatches"
        case Exists():
            return False
        case Comparison():
            left, right = leaf.left, leaf.right
            return (
                isinstance(left, Attribute)
                and left.source in {"request", "resource"}
                and leaf.operator in _OPERATORS.get(left.name, ())
                and not isinstance(right, Attribute)
                and bool(leaf.quantifier or len(right) == 1)
            )
        case _:
            assert_never(leaf)


def _refuse_senseless(leaf: Comparison | Function | Exists) -> None:
    """Refuse what would say something else than its author meant.

    Raises:
        ConditionError: a pattern of actions that no role may hold, or a role that is no id.
    """
    if isinstance(leaf, Function) and leaf.name == "actionmatches":
        problem = pattern_problem(leaf.argument.text)
        if problem is not None:
            raise ConditionError(leaf.argument.position, problem)
    if isinstance(leaf, Comparison) and isinstance(leaf.left, Attribute):
        left, right = leaf.left, leaf.right
        if left.name == _ROLE and not isinstance(right, Attribute):
            _refuse_names(right)


def _refuse_names(values: tuple[Value, ...]) -> None:
    # "Not equal to Owner" would hold for every role, Owner included.
    for one in values:
        if _GUID.fullmatch(one.text) is None:
            raise ConditionError(one.position, "a role is meant by its id")
