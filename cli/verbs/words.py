"""Values of enums in the words of `az`: Linux, Generalized, Standard_LRS."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from cli.errors import UsageProblem
from cli.output import Column, at

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_E = TypeVar("_E")
_E_co = TypeVar("_E_co", covariant=True)


class Enum(Protocol[_E_co]):
    """An enum of the generated code."""

    def items(self) -> Sequence[tuple[str, _E_co]]:
        """Names and values."""
        ...


def value(enum: Enum[_E], prefix: str, word: str, *, option: str) -> _E:
    """The value that a word means; `Linux`, `linux` and `LINUX` are the same one.

    `prefix` is what the names of the enum begin with.

    Raises:
        UsageProblem: it means none.
    """
    known = {name.removeprefix(prefix): one for name, one in enum.items()}
    known.pop("UNSPECIFIED", None)
    for name, one in known.items():
        if _plain(name) == _plain(word):
            return one
    choices = ", ".join(known)
    raise UsageProblem(f"{word} is no value of {option}.", todo=f"Values are {choices}")


def word(path: str, prefix: str) -> Callable[[Any], str]:
    """A cell with the value at `path` as a word: `PROVISIONING_STATE_CREATING` is `Creating`."""

    def read(record: Any) -> str:
        found = at(record, path)
        return spoken(str(found).removeprefix(prefix)) if found else ""

    return read


def spoken(name: str) -> str:
    """An upper-case name of the contract as a word."""
    return name.replace("_", " ").capitalize()


def last(path: str) -> Callable[[Any], str]:
    """A cell with the last id of the resource name at `path`."""

    def read(record: Any) -> str:
        return str(at(record, path) or "").rpartition("/")[2]

    return read


def state_column() -> Column:
    """The provisioning state, as every resource of the catalog has it."""
    return Column("State", word("provisioningState", "PROVISIONING_STATE_"))


def _plain(text: str) -> str:
    return _HUMP.sub("_", text).replace("_", "").replace("-", "").casefold()
