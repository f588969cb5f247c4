r"""Filters and orders of lists: the subset of AIP-160 that a list understands.

    filter     = [ comparison { "AND" comparison } ]
    comparison = field operator value | map ":" key
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
    field      = name { "." name }        a key of a map: tags.env, tags."cost.center"
    value      = word | quoted string     "..." or '...', with \ before a quote or a \

Everything else (OR, NOT, parentheses, functions, bare words) is refused, since a filter
that is understood in part answers rows that nobody asked for.
"""

import enum
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from services.kernel.errors import InvalidArgument
from services.kernel.violations import Violations

MAX_LENGTH: Final = 2048
MAX_COMPARISONS: Final = 20
_MAX_INTEGER: Final = 2**63 - 1

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator><=|>=|!=|=|<|>|:)
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<word>[^\s"'<>=!:()]+(?::[^\s"'<>=!()]*)*)
      | (?P<other>\S)
    )""",
    re.VERBOSE,
)
_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_ESCAPED = re.compile(r"\\(.)")

FilterValue = str | int | bool | datetime


class Op(enum.Enum):
    """How a field is compared."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    HAS = ":"


class Kind(enum.Enum):
    """What a field holds, which decides how it may be compared.

    STRING compares as sent and `:` finds a part of it; MAP is asked for a key by `:` and
    for the value of a key by `=`, `!=` and `:`; TIME is RFC 3339.
    """

    STRING = enum.auto()
    INTEGER = enum.auto()
    BOOLEAN = enum.auto()
    TIME = enum.auto()
    MAP = enum.auto()


_OPS: Final[Mapping[Kind, frozenset[Op]]] = {
    Kind.STRING: frozenset(Op),
    Kind.INTEGER: frozenset(Op) - {Op.HAS},
    Kind.BOOLEAN: frozenset({Op.EQ, Op.NE}),
    Kind.TIME: frozenset(Op) - {Op.HAS},
    Kind.MAP: frozenset({Op.EQ, Op.NE, Op.HAS}),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition; `map_key` is the key of a field that is a map.

    `tags:env` asks whether the key is there, and has an empty `value`.
    """

    field: str
    op: Op
    value: FilterValue
    map_key: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """One field of an order."""

    field: str
    descending: bool = False


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse_filter(text: str, fields: Mapping[str, Kind | Collection[str]]) -> tuple[Comparison, ...]:
    """Read a filter over `fields`; a collection in place of a kind lists the values of an enum.

    Raises:
        InvalidArgument: with every violation of the field `filter` at once.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidArgument.of("filter", f"a filter has at most {MAX_LENGTH} characters")
    violations = Violations()
    read = [_comparison(part, fields, violations) for part in _parts(_tokens(text), violations)]
    comparisons = tuple(comparison for comparison in read if comparison is not None)
    if len(comparisons) > MAX_COMPARISONS:
        violations.add("filter", f"a filter has at most {MAX_COMPARISONS} comparisons")
    violations.raise_if_any()
    return comparisons


def parse_order_by(text: str, fields: Collection[str]) -> tuple[Order, ...]:
    """Read `field [asc|desc], ...` (AIP-132).

    Raises:
        InvalidArgument: with every violation of the field `order_by` at once.
    """
    violations = Violations()
    orders: list[Order] = []
    for part in text.split(",") if text.strip() else ():
        field, *direction = part.split() or [""]
        if direction not in ([], ["asc"], ["desc"]):
            violations.add("order_by", f"'{part.strip()}' is not a field with asc or desc")
        elif field not in fields:
            violations.add("order_by", f"the list cannot be ordered by '{field}'")
        elif any(order.field == field for order in orders):
            violations.add("order_by", f"'{field}' is there twice")
        else:
            orders.append(Order(field, descending=direction == ["desc"]))
    violations.raise_if_any()
    return tuple(orders)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            break
        # A colon is part of a time, but ends a field: `tags:env`, `create_time>2026-01-01T00:00Z`.
        kind, value = found.lastgroup, found.group(found.lastgroup)
        start = found.start(found.lastgroup)
        after_operator = bool(tokens) and tokens[-1].kind == "operator"
        if kind == "word" and ":" in value and not after_operator:
            value = value[: value.index(":")]
            position = start + len(value)
        else:
            position = found.end()
        tokens.append(_Token(kind, value, start))
    return tokens


def _parts(tokens: list[_Token], violations: Violations) -> list[list[_Token]]:
    """Cut the tokens at AND."""
    if not tokens:
        return []
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token.kind == "word" and token.text == "AND":
            parts.append([])
        else:
            parts[-1].append(token)
    if not all(parts):
        violations.add("filter", "AND stands between two comparisons")
    return [part for part in parts if part]


def _comparison(
    part: list[_Token], fields: Mapping[str, Kind | Collection[str]], violations: Violations
) -> Comparison | None:
    split = next((i for i, token in enumerate(part) if token.kind == "operator"), None)
    values = part[split + 1 :] if split is not None else []
    if split is None or not split or len(values) != 1 or values[0].kind in {"operator", "other"}:
        violations.add(
            "filter",
            f'at {part[0].at}: a comparison such as name = "value" is expected; comparisons '
            "are joined by AND, and there is no OR, NOT or parenthesis",
        )
        return None
    name, map_key = _left(part[:split], fields)
    kind = fields.get(name)
    if kind is None:
        violations.add("filter", f"at {part[0].at}: the list cannot be filtered by '{name}'")
        return None
    return _typed(name, map_key, Op(part[split].text), values[0], kind, violations)


def _left(tokens: list[_Token], fields: Mapping[str, Kind | Collection[str]]) -> tuple[str, str]:
    """Answer the field and, where it is a map, the key that is asked for."""
    word = tokens[0].text if tokens[0].kind == "word" else ""
    if len(tokens) == 2 and word.endswith(".") and tokens[1].kind in {"double", "single"}:
        return word[:-1], _unescaped(tokens[1].text)
    if len(tokens) == 1 and tokens[0].kind == "word":
        for name, kind in fields.items():
            if kind is Kind.MAP and word.startswith(f"{name}."):
                return name, word[len(name) + 1 :]
        return word, ""
    return " ".join(token.text for token in tokens), ""


def _typed(  # noqa: PLR0917 - one step of one parser
    name: str,
    map_key: str,
    op: Op,
    token: _Token,
    kind: Kind | Collection[str],
    violations: Violations,
) -> Comparison | None:
    quoted = token.kind != "word"
    text = _unescaped(token.text) if quoted else token.text
    allowed = _OPS[kind] if isinstance(kind, Kind) else _OPS[Kind.BOOLEAN]
    if op not in allowed:
        violations.add("filter", f"at {token.at}: '{name}' cannot be compared by '{op.value}'")
        return None
    if kind is Kind.MAP:
        if map_key:
            return Comparison(name, op, text, map_key)
        if op is Op.HAS and text:
            return Comparison(name, op, "", text)
        violations.add("filter", f"at {token.at}: '{name}' needs a key, as in {name}.key")
        return None
    value = _value(text, kind)
    if value is None:
        expected = (
            _EXPECTED[kind] if isinstance(kind, Kind) else f"one of {', '.join(sorted(kind))}"
        )
        violations.add("filter", f"at {token.at}: '{name}' is compared with {expected}")
        return None
    return Comparison(name, op, value)


_EXPECTED: Final[Mapping[Kind, str]] = {
    Kind.STRING: "a string",
    Kind.INTEGER: "an integer",
    Kind.BOOLEAN: "true or false",
    Kind.TIME: 'a time such as "2026-01-31T12:00:00Z"',
    Kind.MAP: "a string",
}


def _value(text: str, kind: Kind | Collection[str]) -> FilterValue | None:
    if not isinstance(kind, Kind):
        return text if text in kind else None
    match kind:
        case Kind.STRING | Kind.MAP:
            return text
        case Kind.BOOLEAN:
            return {"true": True, "false": False}.get(text)
        case Kind.INTEGER:
            if _INTEGER.fullmatch(text) and abs(int(text)) <= _MAX_INTEGER:
                return int(text)
            return None
        case Kind.TIME:
            return _time(text)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
        # The first and the last day of all are other ones, out of reach, in other zones.
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
