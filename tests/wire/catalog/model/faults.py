"""What is wrong with a request by the rules, and whether a refusal says exactly that.

Error model: error_reason.proto of the catalog (which violations, which reason) and section 3 of
the design (INVALID_ARGUMENT wins and carries everything). Where no rule orders two errors that
exclude each other, either is right.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

# Said once for each region. Whether others come once or for each resource in the way is left open.
_EACH_REGION = frozenset(
    {
        "REPLICA_CAPACITY",
        "ZONE_UNAVAILABLE",
        "STORAGE_TYPE_UNAVAILABLE",
        "REGION_NOT_TARGETED",
        "REGION_TARGETED_OTHERWISE",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal of the service."""

    code: str
    reason: str
    fields: tuple[tuple[str, str], ...] = ()
    # The types of the violations of PreconditionFailure.
    states: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Faults:
    """Everything that is wrong with one request."""

    # Violated fields and their reasons; "" where the rule gives the field none of its own.
    fields: dict[str, str] = field(default_factory=dict)
    # Fields that a fault elsewhere makes impossible to judge.
    doubtful: set[str] = field(default_factory=set)
    # What state shows, by its reason.
    states: list[str] = field(default_factory=list)
    doubtful_states: set[str] = field(default_factory=set)
    # What may be refused or accepted: the contract leaves it open.
    permitted: set[str] = field(default_factory=set)
    # Whether the call asks for what is under way already.
    repeated: bool = False
    # The most replicas of each region that has too few slots.
    maxima: dict[str, int] = field(default_factory=dict)
    # Errors that stand for themselves.
    others: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        parts = {
            one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)
        }
        return str(parts or "accepted")

    def __bool__(self) -> bool:
        return bool(self.fields or self.states or self.others)

    def add_missing(self, *reasons: str) -> None:
        """NOT_FOUND, with one of the reasons."""
        self.others += [("NOT_FOUND", one) for one in reasons]

    def add_taken(self, *reasons: str) -> None:
        """ALREADY_EXISTS, with one of the reasons."""
        self.others += [("ALREADY_EXISTS", one) for one in reasons]

    def add_conflict(self, reason: str) -> None:
        """ABORTED."""
        self.others.append(("ABORTED", reason))

    def differs(self, answer: Answer) -> str:
        """Answer how the refusal is another one than that of these faults; "" if it is not."""
        missing = answer.code == "NOT_FOUND"
        if self.fields and not (missing and (answer.code, answer.reason) in self.others):
            return self._fields_differ(answer)
        if (answer.code, answer.reason) in self.others:
            return ""
        if "VERSION_SOFT_DELETED" in answer.states and "VERSION_SOFT_DELETED" in self.states:
            # Nothing of it can change: what else forbids the change may be left out.
            return ""
        if self.permitted and set(answer.states) <= self.permitted | set(self.states):
            return ""
        if self.states and answer.code == "FAILED_PRECONDITION":
            summed = _one(answer.states, "PRECONDITION_FAILED")
            return (
                self._states_differ(answer)
                or _differ(summed, answer.reason)
                or self._maximum_differs(answer)
            )
        return f"expected {self.others or self.states}, not {answer}"

    def _fields_differ(self, answer: Answer) -> str:
        found = dict(answer.fields)
        if answer.code != "INVALID_ARGUMENT":
            return f"expected INVALID_ARGUMENT for {self.fields}, not {answer}"
        if set(found) - self.doubtful != set(self.fields) - self.doubtful:
            return f"fields {sorted(found)} instead of {sorted(self.fields)}"
        for path, reason in self.fields.items():
            if path in found and reason and found[path] != reason:
                return f"{path} is {found[path]} instead of {reason}"
        summed = _one(found.values(), "INVALID_FIELDS") or "INVALID_FIELDS"
        return _differ(summed, answer.reason) or self._states_differ(answer)

    def _states_differ(self, answer: Answer) -> str:
        expected = self._counted(self.states)
        same = expected == self._counted(answer.states)
        return "" if same else f"states {answer.states} instead of {self.states}"

    def _maximum_differs(self, answer: Answer) -> str:
        """A refusal for want of slots names the region and how many it has."""
        if answer.states != ("REPLICA_CAPACITY",) or "REPLICA_CAPACITY" in self.doubtful_states:
            return ""
        told = dict(answer.metadata)
        known = {str(count) for where, count in self.maxima.items() if where == told["location"]}
        return "" if told["maximum"] in known else f"{told} instead of {self.maxima}"

    def _counted(self, states: Iterable[str]) -> Counter[str]:
        sure = [one for one in states if one not in self.doubtful_states]
        return Counter({one: sure.count(one) if one in _EACH_REGION else 1 for one in sure})


def _one(reasons: Iterable[str], otherwise: str) -> str:
    """The reason that all have, or what stands for several."""
    distinct = set(reasons)
    return distinct.pop() if len(distinct) == 1 else otherwise


def _differ(expected: str, found: str) -> str:
    return "" if expected == found else f"reason {found} instead of {expected}"
