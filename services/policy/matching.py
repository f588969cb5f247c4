"""Action patterns: `*` matches any run of characters, `/` included (authorization.md 1.2)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from services.kernel.names import fold
from services.policy.model import Permissions, Plane

MAX_STARS: Final = 8
MAX_LENGTH: Final = 256
_CHARACTERS = re.compile(r"[A-Za-z0-9*._/-]+")


def pattern_problem(pattern: str) -> str | None:
    """Say why `pattern` may not be written into a role, or None when it may.

    The caps bound what a tenant can make every replica compile and match (threat T27).
    """
    if not pattern:
        return "an action pattern is empty"
    if len(pattern) > MAX_LENGTH:
        return f"an action pattern has at most {MAX_LENGTH} characters"
    if pattern.count("*") > MAX_STARS:
        return f"an action pattern has at most {MAX_STARS} stars"
    if _CHARACTERS.fullmatch(pattern) is None:
        return "an action pattern holds ASCII letters, digits and '.', '_', '-', '/', '*'"
    return None


@lru_cache(maxsize=16_384)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern so that matching never tries the same thing twice.

    Each star with the literal behind it is an atomic group: the leftmost place that
    fits is final, which loses nothing because only what stands between two stars
    follows. The last literal is anchored at the end, so the run before it is greedy
    and the literal is compared from the back.
    """
    first, *rest = (re.escape(literal) for literal in fold(pattern).split("*"))
    if not rest:
        return re.compile(first)
    *middle, last = rest
    atoms = "".join(f"(?>.*?{literal})" for literal in middle if literal)
    return re.compile(f"(?s:{first}{atoms}.*{last})")


def matches(pattern: str, action: str) -> bool:
    """Whether `pattern` covers `action`, a concrete one, without regard to case."""
    return compile_pattern(pattern).fullmatch(fold(action)) is not None


class PermissionMatcher:
    """The permissions of one role or deny assignment, ready to be asked.

    Answers are kept per action: requested actions come from the registry, so there are
    never more answers than registered actions.
    """

    __slots__ = ("_answers", "_permissions")

    def __init__(self, permissions: tuple[Permissions, ...]) -> None:
        self._permissions = permissions
        self._answers: dict[tuple[str, Plane], bool] = {}

    def permits(self, action: str, plane: Plane) -> bool:
        """Whether `action`, folded, is granted on `plane` and not subtracted again."""
        answer = self._answers.get((action, plane))
        if answer is None:
            answer = any(_permits(*one.patterns(plane), action) for one in self._permissions)
            self._answers[action, plane] = answer
        return answer


def matched(permissions: tuple[Permissions, ...], action: str, plane: Plane) -> tuple[str, str]:
    """Answer the patterns that grant a folded action and that take it out again, empty for none.

    Of several permissions, one that grants it in the end is told of before one that does not.
    """
    found = ("", "")
    for one in permissions:
        granted, subtracted = (_first(some, action) for some in one.patterns(plane))
        if granted and not subtracted:
            return granted, ""
        if granted and not found[0]:
            found = (granted, subtracted)
    return found


def _first(patterns: Iterable[str], action: str) -> str:
    return next((one for one in patterns if compile_pattern(one).fullmatch(action)), "")


def _permits(granted: Iterable[str], subtracted: Iterable[str], action: str) -> bool:
    return _any(granted, action) and not _any(subtracted, action)


def _any(patterns: Iterable[str], action: str) -> bool:
    return any(compile_pattern(pattern).fullmatch(action) for pattern in patterns)
