"""Where each principal is named, so that lists need not look through everybody's scopes.

Eight bytes for each: a sorted tuple of scopes that assignments hold anyway.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from typing import Final

from services.policy.persistent_map import MapEditor

Scopes = tuple[str, ...]
NOWHERE: Final[Scopes] = ()
NOBODY: Final[Mapping[str, Scopes]] = {}

#: Up to this many changes are put into their places one by one.
_FEW: Final = 8


class HoldersEditor:
    """A successor in the making of a map from principals to the scopes that name them."""

    def __init__(self, base: Mapping[str, Scopes]) -> None:
        """Start from a map that `freeze` answered, or from an empty dict."""
        self._map = MapEditor(base)
        self._added: dict[str, list[str]] = {}
        self._removed: dict[str, list[str]] = {}

    def change(self, scope: str, before: Iterable[str], after: Iterable[str]) -> None:
        """Take note of who is named at a scope instead of whom."""
        old, new = set(before), set(after)
        for principal in new - old:
            self._added.setdefault(principal, []).append(scope)
        for principal in old - new:
            self._removed.setdefault(principal, []).append(scope)

    def freeze(self) -> Mapping[str, Scopes]:
        """Answer the successor."""
        for principal in self._added.keys() | self._removed.keys():
            added = self._added.get(principal, [])
            removed = self._removed.get(principal, [])
            scopes = _changed(self._map.get(principal) or NOWHERE, added, removed)
            if scopes:
                self._map.set(principal, scopes)
            else:
                self._map.pop(principal)
        return self._map.freeze()


def _changed(scopes: Scopes, added: list[str], removed: list[str]) -> Scopes:
    if len(added) + len(removed) > _FEW:
        return tuple(sorted({*scopes, *added}.difference(removed)))
    found = list(scopes)
    for scope in removed:
        del found[bisect_left(found, scope)]
    for scope in added:
        insort(found, scope)
    return tuple(found)
