"""The policy as of earlier revisions, as far as this process has seen them go by."""

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import chain
from typing import Final

from services.policy.index import PolicyIndex

#: The last roots, which are held whatever happens.
RECENT: Final = 64
# Earlier ones that are held to begin from; every second goes when there are more.
_MOST_BASES: Final = 64
_REMADE: Final = 16

# Takes a root on to a later revision by the log, None where the log is no longer held.
Replay = Callable[[PolicyIndex, int], PolicyIndex | None]


class PolicyHistory:
    """Roots of one epoch, in their order. Not for several threads at once.

    Roots share nearly everything, so that keeping some costs little; what lies between them is
    made again from the log.
    """

    def __init__(self) -> None:
        self._recent: Final[deque[PolicyIndex]] = deque(maxlen=RECENT)
        self._bases: list[PolicyIndex] = []
        self._every = RECENT
        self._remade: Final[OrderedDict[int, PolicyIndex]] = OrderedDict()

    def add(self, root: PolicyIndex) -> None:
        """Hold a root that follows those held, or begins another epoch."""
        if self._recent and root.epoch != self._recent[-1].epoch:
            self._recent.clear()
            self._bases.clear()
            self._remade.clear()
        self._recent.append(root)
        if not self._bases or root.revision >= self._bases[-1].revision + self._every:
            self._bases.append(root)
            if len(self._bases) > _MOST_BASES:
                self._bases = self._bases[::2]
                self._every *= 2

    def is_recent(self, revision: int) -> bool:
        """Whether a revision is among the last ones."""
        return bool(self._recent) and revision >= self._recent[0].revision

    def at(self, revision: int, replay: Replay) -> PolicyIndex | None:
        """Answer the policy as of a revision that has been, None where it cannot be had."""
        held = self._remade.get(revision)
        if held is not None:
            return held
        before = None
        for root in chain(self._bases, self._recent):
            if root.revision == revision:
                return root
            if root.revision < revision and (before is None or root.revision > before.revision):
                before = root
        found = None if before is None else replay(before, revision)
        if found is not None:
            self._remade[revision] = found
            if len(self._remade) > _REMADE:
                self._remade.popitem(last=False)
        return found

    def oldest(self, horizon: int) -> int:
        """Answer the oldest revision that can be had, with the log held after `horizon`."""
        revisions = [one.revision for one in chain(self._bases, self._recent)]
        return min((one for one in revisions if one >= horizon), default=self._recent[0].revision)
