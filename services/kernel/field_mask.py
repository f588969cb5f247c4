"""Field masks: which properties an Update changes (AIP-134, style.md section 2.3).

A resource lists its paths once in a `FieldTable`. Values are looked up in dictionaries
and dataclasses alike; None is a field that was not populated. A scalar for which zero
and absent are the same is given as None when it is zero, and an empty string, list or
map counts as not populated too.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.kernel.violations import Violations

ALL: Final = "*"
# More than any resource has fields and tags.
MAX_PATHS: Final = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The paths of a resource, as the proto spells them, by who may change them when.

    A path below a `maps` entry, such as `tags.cost-center`, is one key of that map, which
    is itself one of the mutable paths. What is output only is ignored in an Update, and
    so are `name` and `etag`, which say what is updated and when.
    """

    mutable: frozenset[str]
    immutable: frozenset[str] = frozenset()
    output_only: frozenset[str] = frozenset()
    maps: frozenset[str] = frozenset()

    def changes(
        self,
        mask: Sequence[str],
        sent: object,
        current: object,
        violations: Violations,
    ) -> dict[str, Any]:
        """Answer the new value of every mutable path that the Update sets.

        Without a mask these are the populated fields; with `*` all of them, those that are
        not populated being cleared to None. An immutable property that would really change
        is recorded as PROPERTY_CHANGE_NOT_ALLOWED, an unknown path as a wrong
        `update_mask`.
        """
        paths = self._selected(mask, violations)
        explicit = bool(mask) and ALL not in mask
        changes: dict[str, Any] = {}
        for path in sorted(paths):
            value = value_at(sent, path)
            if path in self.immutable:
                if (explicit or populated(value)) and _differ(value, value_at(current, path)):
                    violations.immutable(path)
            elif mask or populated(value):
                changes[path] = value
        return changes

    def check(self, mask: Sequence[str], violations: Violations) -> None:
        """Note what is wrong with a mask by itself, where there is nothing to compare with."""
        self._selected(mask, violations)

    def _selected(self, mask: Sequence[str], violations: Violations) -> set[str]:
        if not mask or list(mask) == [ALL]:
            return set(self.mutable | self.immutable)
        selected: set[str] = set()
        if len(mask) > MAX_PATHS:
            # Nothing more is said of it: that would be as long as the mask.
            violations.add("update_mask", f"has more than {MAX_PATHS} paths")
            return selected
        for path in mask:
            found = self._covered(path)
            if path == ALL:
                violations.add("update_mask", "'*' stands alone in a mask")
            elif found is None:
                violations.add("update_mask", f"'{path}' is not a field of the resource")
            else:
                selected |= found
        return selected

    def _covered(self, path: str) -> set[str] | None:
        """Answer the paths that a path of the mask means, or None for an unknown one."""
        below = f"{path}."
        known = self.mutable | self.immutable | self.output_only | {"name", "etag"}
        covered = {one for one in known if one == path or one.startswith(below)}
        if covered:
            return covered & (self.mutable | self.immutable)
        if any(path.startswith(f"{one}.") and len(path) > len(one) + 1 for one in self.maps):
            return {path}
        return None


def replaced(current: T, changes: Mapping[str, Any]) -> T:
    """Answer a copy of a dataclass or dictionary with the values at some paths replaced.

    The key of a map whose new value is None is removed.
    """
    result = current
    for path, value in changes.items():
        result = _replaced_at(result, path, value)
    return result


def value_at(value: object, path: str) -> Any:
    """Answer the value at a path, or None where there is nothing on the way to it."""
    first, _, rest = path.partition(".")
    if value is None:
        return None
    if isinstance(value, Mapping):
        # A key of a map may itself hold dots.
        return value[path] if path in value else _deeper(value.get(first), rest)
    return _deeper(getattr(value, first), rest)


def populated(value: object) -> bool:
    """Whether a value was given: not None, and not an empty string, list or map."""
    return value is not None and value not in ("", b"", (), [], {}, frozenset(), set())


def paths_of(table: FieldTable) -> Iterable[str]:
    """Answer every path of a table, for a test that compares it with the proto."""
    return sorted(table.mutable | table.immutable | table.output_only)


def _deeper(value: object, rest: str) -> Any:
    return value_at(value, rest) if rest else value


def _differ(sent: object, current: object) -> bool:
    if not populated(sent) and not populated(current):
        return False
    return sent != current


def _replaced_at(current: Any, path: str, value: object) -> Any:
    first, _, rest = path.partition(".")
    if isinstance(current, Mapping):
        known = first in current and isinstance(current[first], Mapping) and rest
        name, new = (first, _replaced_at(current[first], rest, value)) if known else (path, value)
        copy = dict(current)
        if new is None:
            copy.pop(name, None)
        else:
            copy[name] = new
        return copy
    if rest:
        value = _replaced_at(getattr(current, first), rest, value)
    return dataclasses.replace(current, **{first: value})
