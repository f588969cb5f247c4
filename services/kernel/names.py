"""Resource names: parsed by pattern, compared by key (AIP-122, DESIGN section 2).

A name alternates collections and ids. Collections are matched without case and
answered in the pattern's spelling; ids keep the spelling that was sent. Two names
are the same resource when their keys are equal, so nothing but a key may be used
in a unique index, a scope, a digest, a token or a cache.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from services.kernel.errors import InvalidName

ROOT: Final = "/"
WILDCARD: Final = "-"
MAX_NAME_LENGTH: Final = 2048
MAX_VERSION_PART: Final = 2_147_483_647
# How many names are remembered with what they are: those of the calls of some seconds.
_REMEMBERED: Final = 8192

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_COLLECTION = re.compile(r"[a-z][a-zA-Z0-9]*")
_FORBIDDEN_IN_ID = re.compile(r"[^\x20-\x7e]|[/%\\]")
# No rule of `id_problem` can fail for these, which most ids are.
_ORDINARY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)")
# Where a number of a version may begin with a zero that its key has not.
_LEADING_ZERO = re.compile(r"[/.]0[0-9]")
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(text: str) -> str:
    """Lower the ASCII letters and no others: `str.lower` would also fold the Kelvin sign."""
    return text.lower() if text.isascii() else text.translate(_UPPER)


def key(name: str) -> str:
    """Answer what identifies a resource, whatever spelling of its name was sent.

    ASCII lower case, and the id after a collection `versions` reduced to three
    integers, so that `versions/01.2.3` and `versions/1.2.3` are one version. Never
    fails, and is its own fixed point: `key(key(name)) == key(name)`.
    """
    folded = fold(name)
    # Most names are their own keys, which is found out without taking them apart.
    if "versions/" not in folded or _LEADING_ZERO.search(folded) is None:
        return folded
    segments = folded.split("/")
    for index in range(1, len(segments), 2):
        if segments[index - 1] == "versions":
            segments[index] = version_key(segments[index])
    return "/".join(segments)


def version_key(text: str) -> str:
    """Strip the leading zeros of three dotted integers; other text is only folded."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return fold(text)
    return ".".join(part.lstrip("0") or "0" for part in found.groups())


def parse_version(text: str, *, field: str = "name") -> tuple[int, int, int]:
    """Read `major.minor.patch` as integers of 0 to 2147483647 each.

    Raises:
        InvalidName: another form, or a number that is too large.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        problem = "a version is three integers with dots between, for example 1.0.3"
        raise InvalidName(text, problem, field=field)
    # The length is looked at first: converting a long run of digits is quadratic.
    parts = [part.lstrip("0") or "0" for part in found.groups()]
    if any(len(part) > 10 or int(part) > MAX_VERSION_PART for part in parts):
        problem = f"each number of a version is at most {MAX_VERSION_PART}"
        raise InvalidName(text, problem, field=field)
    major, minor, patch = (int(part) for part in parts)
    return major, minor, patch


def id_problem(text: str) -> str | None:
    """Say why `text` cannot be an id of any resource, or None when it can.

    Only what would make a name ambiguous, or unsafe as a part of a path, is refused
    here; each resource has narrower rules of its own.
    """
    if not text:
        return "an id is empty"
    if text in {".", ".."}:
        return f"an id cannot be '{text}'"
    if text == WILDCARD:
        return "'-' stands for any id and is accepted by lists only"
    if text != text.strip(" "):
        return "an id cannot begin or end with a space"
    if _FORBIDDEN_IN_ID.search(text):
        return "an id holds printable ASCII characters except '/', '%' and '\\'"
    return None


def parent(name: str) -> str:
    """Answer the name without its last collection and id; `/` at the top."""
    segments = name.split("/")
    return "/".join(segments[:-2]) if len(segments) > 2 else ROOT


def prefixes(name: str) -> tuple[str, ...]:
    """Answer the name and what it lies in by (collection, id) pairs, the nearest first.

    The installation scope `/` and what lies above a subscription are not part of a
    name: whoever knows the hierarchy appends them.
    """
    if name == ROOT:
        return ()
    segments = name.split("/")
    return tuple("/".join(segments[:end]) for end in range(len(segments), 1, -2))


@dataclass(frozen=True, slots=True)
class Name:
    """A parsed name: `text` as it is answered, `key` as it is compared.

    `ids` maps the pattern's variables to the ids as sent, `-` for a wildcard.
    """

    text: str
    key: str
    ids: Mapping[str, str]
    pattern: str

    def __str__(self) -> str:
        return self.text

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def has_wildcard(self) -> bool:
        """Whether an id stands for all of its collection."""
        return WILDCARD in self.ids.values()

    @property
    def id(self) -> str:
        """The last id: the resource's own."""
        return self.text.rpartition("/")[2]

    def parent(self) -> "Name":
        """Answer the name of what contains this one; `/` at the top."""
        pattern = parent(self.pattern)
        ids = {name: self.ids[name] for name in _VARIABLE.findall(pattern)}
        return Name(parent(self.text), parent(self.key), ids, pattern)


class Pattern:
    """The pattern, or the alternative patterns, of one kind of resource."""

    __slots__ = ("_by_length", "patterns")

    def __init__(self, *patterns: str) -> None:
        if not patterns:
            raise ValueError("a resource has at least one pattern")
        self.patterns: Final = patterns
        self._by_length: Final[dict[int, list[_Segments]]] = {}
        for pattern in patterns:
            segments = _Segments(pattern)
            self._by_length.setdefault(2 * len(segments.folded), []).append(segments)

    def __repr__(self) -> str:
        return f"Pattern({', '.join(map(repr, self.patterns))})"

    def parse(self, text: str, *, wildcards: bool = False, field: str = "name") -> Name:
        """Read a name, with `-` for any id where `wildcards` are accepted.

        Raises:
            InvalidName: no pattern fits, or an id holds what no id may hold.
        """
        try:
            return _parsed(self, text, wildcards=wildcards)
        except InvalidName as error:
            raise InvalidName(error.text, error.problem, field=field) from None

    def read(self, text: str, *, wildcards: bool) -> Name:
        """Read a name without remembering it; see `parse`."""
        if len(text) > MAX_NAME_LENGTH:
            raise InvalidName(text, f"a name has at most {MAX_NAME_LENGTH} characters")
        parts = text.split("/")
        for segments in self._by_length.get(len(parts), ()):
            if segments.fits(parts):
                return segments.name(text, parts, wildcards=wildcards)
        expected = " or ".join(self.patterns)
        raise InvalidName(text, f"a name of the form {expected} is expected")

    def matches(self, text: str) -> bool:
        """Whether the collections of `text` are those of a pattern; its ids are not checked."""
        parts = text.split("/")
        return any(segments.fits(parts) for segments in self._by_length.get(len(parts), ()))

    def format(self, **ids: str) -> str:
        """Build the name that has exactly these ids.

        Raises:
            InvalidName: an id holds what no id may hold.
            ValueError: no pattern has exactly these variables.
        """
        for alternatives in self._by_length.values():
            for segments in alternatives:
                if set(segments.variables) == set(ids):
                    parts = segments.fill(ids)
                    return segments.name("/".join(parts), parts, wildcards=False).text
        raise ValueError(f"{self!r} has no pattern with exactly {sorted(ids)}")


class _Segments:
    """One pattern, cut at its slashes."""

    __slots__ = ("collections", "folded", "pattern", "variables")

    def __init__(self, pattern: str) -> None:
        parts = pattern.split("/")
        self.pattern = pattern
        self.collections = parts[::2]
        self.variables = _VARIABLE.findall(pattern)
        expected = [f"{{{variable}}}" for variable in self.variables]
        if (
            parts[1::2] != expected
            or len(self.collections) != len(expected)
            or len(set(expected)) != len(expected)
            or not all(map(_COLLECTION.fullmatch, self.collections))
        ):
            raise ValueError(f"not a pattern of collections and ids: {pattern!r}")
        self.folded = [fold(part) for part in self.collections]

    def fits(self, parts: list[str]) -> bool:
        sent = parts[::2]
        return sent == self.collections or [fold(part) for part in sent] == self.folded

    def fill(self, ids: Mapping[str, str]) -> list[str]:
        parts: list[str] = []
        for collection, variable in zip(self.collections, self.variables, strict=True):
            parts += (collection, ids[variable])
        return parts

    def name(self, text: str, parts: list[str], *, wildcards: bool) -> Name:
        given = parts[1::2]
        for one in given:
            if _ORDINARY_ID.fullmatch(one):
                continue
            problem = id_problem(one)
            if problem is not None and not (wildcards and one == WILDCARD):
                raise InvalidName(text, problem)
        # Calls share what is remembered, so nobody may write into it.
        ids = MappingProxyType(dict(zip(self.variables, given, strict=True)))
        canonical = "/".join(self.fill(ids))
        return Name(canonical, key(canonical), ids, self.pattern)


@lru_cache(maxsize=_REMEMBERED)
def _parsed(pattern: Pattern, text: str, *, wildcards: bool) -> Name:
    # A name is a function of its text and nothing that changes; errors are not remembered.
    return pattern.read(text, wildcards=wildcards)
