"""Scopes: the nodes of the tree that access is granted on (authorization.md 1.2).

A scope is compared by its key and walked by whole (collection, id) pairs, never by a
string prefix: `subscriptions/a` is not above `subscriptions/ab`.
"""

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.kernel.errors import InvalidName
from services.kernel.names import MAX_NAME_LENGTH, ROOT, id_problem, key

_COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9]*")
#: Ids of ordinary characters, so that most scopes are accepted by one match; what is left
#: is looked at id by id.
_PAIR = r"[a-z][a-z0-9]*/[a-z0-9][a-z0-9._-]*"
_ORDINARY = re.compile(rf"{_PAIR}(?:/{_PAIR})*")
_STEP = re.compile(r"[^/]+/[^/]+")


class ViewKind(enum.Enum):
    """The two kinds of read-only view of somebody else's gallery, by their collection."""

    SHARED = "sharedgalleries"
    COMMUNITY = "communitygalleries"


@dataclass(frozen=True, slots=True)
class View:
    """Where a view points: what `id` names, as seen from the consumer's subscription."""

    kind: ViewKind
    id: str
    consumer: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A canonical scope: its key, and its (collection, id) pairs from the top."""

    key: str
    steps: tuple[str, ...]
    view: View | None = None

    @staticmethod
    def parse(text: str, *, field: str = "scope") -> "Scope":
        """Read a scope in any letter case; anything else that is odd is refused.

        Raises:
            InvalidName: not `/` and not alternating collections and ids; an id is
                empty, `.`, `..` or `-`, or holds what no id may hold.
        """
        try:
            return _parse(text)
        except InvalidName as error:
            raise InvalidName(error.text, error.problem, field=field) from None

    @property
    def subscription(self) -> str | None:
        """The key of the subscription that the scope lies in, None for any other tree."""
        if self.steps and self.steps[0].startswith("subscriptions/"):
            return self.steps[0]
        return None

    @property
    def management_group(self) -> str | None:
        """The key of the management group that the scope is or lies in, or None."""
        if len(self.steps) > 1 and self.steps[1].startswith("managementgroups/"):
            return f"{self.steps[0]}/{self.steps[1]}"
        return None

    def __str__(self) -> str:
        return self.key


ROOT_SCOPE: Final = Scope(ROOT, ())


@lru_cache(maxsize=65_536)
def _parse(text: str) -> Scope:
    if text == ROOT:
        return ROOT_SCOPE
    if len(text) > MAX_NAME_LENGTH:
        raise InvalidName(text, f"a scope has at most {MAX_NAME_LENGTH} characters")
    canonical = key(text)
    if _ORDINARY.fullmatch(canonical) is None:
        _refuse_if_odd(text)
    steps = tuple(_STEP.findall(canonical))
    return Scope(canonical, steps, _view(steps))


def _refuse_if_odd(text: str) -> None:
    parts = text.split("/")
    if len(parts) % 2 or not all(map(_COLLECTION.fullmatch, parts[::2])):
        raise InvalidName(text, "a scope is '/' or collections and ids in turn, slashes between")
    for part in parts[1::2]:
        if problem := id_problem(part):
            raise InvalidName(text, problem)


def _view(steps: tuple[str, ...]) -> View | None:
    if len(steps) < 3 or not steps[1].startswith("locations/"):
        return None
    if not steps[0].startswith("subscriptions/"):
        return None
    collection, _, name = steps[2].partition("/")
    for kind in ViewKind:
        if collection == kind.value:
            return View(kind, name, steps[0])
    return None
