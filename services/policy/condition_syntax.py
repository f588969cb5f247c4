"""Reads conditions of role assignments, in the syntax of the original (version 2.0).

    condition  = term { "AND" term } | term { "OR" term }
    term       = ( "!" | "NOT" ) term | "(" condition ")" | function | comparison
    function   = ( "ActionMatches" | "SubOperationMatches" ) "{" string "}" | "Exists" attribute
    comparison = operand [ quantifier ":" ] operator operand
    operand    = attribute | value | "{" value { "," value } "}"
    attribute  = "@" source "[" name "]"

`&&` and `||` are AND and OR. As in the original there is no precedence between the two: where
both stand side by side, parentheses say which is meant. Words are read without regard to case.
What is read here need not be evaluated (`conditions.py`).
"""

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from services.kernel.names import fold

MAX_LENGTH: Final = 8192
#: How deep parentheses and negations may be nested.
MAX_DEPTH: Final = 32

SOURCES: Final = frozenset({"request", "resource", "principal", "environment"})
FUNCTIONS: Final = frozenset({"actionmatches", "suboperationmatches"})
QUANTIFIERS: Final = frozenset(
    {"foranyofanyvalues", "forallofanyvalues", "foranyofallvalues", "forallofallvalues"}
)
_COMPARED: Final = ("Equals", "GreaterThan", "GreaterThanEquals", "LessThan", "LessThanEquals")
OPERATORS: Final = frozenset(
    fold(name)
    for name in (
        "BoolEquals",
        "BoolNotEquals",
        "GuidEquals",
        "GuidNotEquals",
        *(
            f"String{negated}{how}{case}"
            for negated in ("", "Not")
            for how in ("Equals", "StartsWith", "Like")
            for case in ("", "IgnoreCase")
        ),
        *(f"{kind}{how}" for kind in ("Numeric", "DateTime") for how in (*_COMPARED, "NotEquals")),
    )
)
_TOKEN: Final = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<symbol>&&|\|\||[!(){},:])"
    r"|@(?P<source>[A-Za-z]+)\[(?P<name>[^][{}'@]{1,256})\]"
    r"|'(?P<string>[^']*)'"
    r"|(?P<word>[A-Za-z0-9._-]+)"
)
_AND: Final = frozenset({"and", "&&"})
_OR: Final = frozenset({"or", "||"})
_NOT: Final = frozenset({"not", "!"})


class ConditionError(Exception):
    """A text is no condition; `position` counts characters from 0."""

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"{problem}, at position {position}")
        self.position: Final = position
        self.problem: Final = problem


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that a condition looks at; both parts are folded."""

    source: str
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Value:
    """A text, number or id, as it was written."""

    text: str
    position: int


Operand = Attribute | tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`; operator and quantifier are folded, the latter may be empty."""

    left: Operand
    operator: str
    right: Operand
    quantifier: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the action; its name is folded."""

    name: str
    argument: Value


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether an attribute is there."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Negation:
    """What does not hold."""

    of: "Expression"


@dataclass(frozen=True, slots=True)
class Junction:
    """Several that all hold, or one of which does."""

    all: bool
    of: tuple["Expression", ...]


Expression = Comparison | Function | Exists | Negation | Junction


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int
    source: str = ""


def parse(text: str) -> Expression:
    """Read a condition.

    Raises:
        ConditionError: it cannot be read; nothing else is ever raised.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(MAX_LENGTH, f"a condition has at most {MAX_LENGTH} characters")
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ConditionError(position, "nothing begins like this")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match[kind], position, match["source"] or ""))
        position = match.end()
    found.append(_Token("end", "", len(text)))
    return found


class _Parser:
    """Descends once through the tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens: Final = tokens
        self._next = 0

    def whole(self) -> Expression:
        found = self._condition(0)
        if self._token.kind != "end":
            self._fail("AND, OR or the end is expected")
        return found

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _condition(self, depth: int) -> Expression:
        terms = [self._term(depth)]
        joined: bool | None = None
        while (both := self._junction()) is not None:
            if joined is not None and joined is not both:
                self._fail("AND and OR side by side need parentheses")
            joined = both
            self._next += 1
            terms.append(self._term(depth))
        return terms[0] if joined is None else Junction(joined, tuple(terms))

    def _junction(self) -> bool | None:
        if self._is_any(_AND):
            return True
        return False if self._is_any(_OR) else None

    def _term(self, depth: int) -> Expression:
        if depth >= MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} levels")
        if self._is_any(_NOT):
            self._next += 1
            return Negation(self._term(depth + 1))
        if self._is("("):
            self._next += 1
            found = self._condition(depth + 1)
            self._take(")")
            return found
        word = fold(self._token.text) if self._token.kind == "word" else ""
        if word in FUNCTIONS:
            return self._function(word)
        if word == "exists":
            self._next += 1
            operand = self._operand()
            if not isinstance(operand, Attribute):
                self._next -= 1
                self._fail("an attribute is expected after Exists")
            return Exists(operand)
        return self._comparison()

    def _function(self, name: str) -> Function:
        self._next += 1
        self._take("{")
        token = self._token
        if token.kind != "string":
            self._fail("a text in single quotes is expected")
        self._next += 1
        self._take("}")
        return Function(name, Value(token.text, token.position))

    def _comparison(self) -> Comparison:
        left = self._operand()
        quantifier, operator = "", self._word("an operator")
        if operator in QUANTIFIERS:
            self._take(":")
            quantifier, operator = operator, self._word("an operator")
        if operator not in OPERATORS:
            self._next -= 1
            self._fail("there is no such operator")
        return Comparison(left, operator, self._operand(), quantifier)

    def _operand(self) -> Operand:
        token = self._token
        if token.kind == "name":
            if fold(token.source) not in SOURCES:
                self._fail("attributes are of Request, Resource, Principal or Environment")
            self._next += 1
            return Attribute(fold(token.source), fold(token.text.strip()), token.position)
        if not self._is("{"):
            return (self._value(),)
        self._next += 1
        values = [self._value()]
        while self._is(","):
            self._next += 1
            values.append(self._value())
        self._take("}")
        return tuple(values)

    def _value(self) -> Value:
        token = self._token
        if token.kind not in {"string", "word"}:
            self._fail("an attribute or a value is expected")
        self._next += 1
        return Value(token.text, token.position)

    def _word(self, what: str) -> str:
        token = self._token
        if token.kind != "word":
            self._fail(f"{what} is expected")
        self._next += 1
        return fold(token.text)

    def _is(self, symbol: str) -> bool:
        return self._token.kind == "symbol" and self._token.text == symbol

    def _is_any(self, words: frozenset[str]) -> bool:
        return self._token.kind in {"symbol", "word"} and fold(self._token.text) in words

    def _take(self, symbol: str) -> None:
        if not self._is(symbol):
            self._fail(f"'{symbol}' is expected")
        self._next += 1

    def _fail(self, problem: str) -> NoReturn:
        raise ConditionError(self._token.position, problem)
