"""What the tests show: which provokes a reason, shows a rule of the product, meets a threat.

Tests are read and never imported, so writing the pages needs no server and no database.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = ROOT / "tests"
RULES: Final = TESTS / "rules.toml"
THREATS: Final = TESTS / "threats.toml"
FAULTS: Final = TESTS / "faults.toml"
# Where the tests of a package's reasons lie, those of the service itself first.
_PROVOKED: Final[Mapping[str, Sequence[str]]] = {
    "stoa.catalog.v1": ("wire/catalog", "wire/cli", "system"),
    "stoa.replication.v1": ("wire/replication", "integration/replication", "system"),
    "stoa.authz.v1": ("wire/authz", "wire/policy", "system"),
    "stoa.type.v1": ("wire/catalog", "wire/kernel", "wire", "system"),
}


@dataclass(frozen=True)
class Spelled:
    """The strings that a test spells out, and those of them where it expects a refusal."""

    anywhere: frozenset[str]
    refused: frozenset[str]


@dataclass(frozen=True)
class Rule:
    """A rule, and the tests that show it; or `why` it has none, or what it `awaits`.

    A threat is one too: it `says` what somebody tries, and has a `defence`.
    """

    id: str
    says: str
    defence: str = ""
    tests: tuple[str, ...] = ()
    why: str = ""
    awaits: str = ""

    def __post_init__(self) -> None:
        if [bool(self.tests), bool(self.why), bool(self.awaits)].count(True) != 1:
            raise ValueError(f"{self.id} needs exactly one of tests, why and awaits")


@dataclass(frozen=True)
class Section:
    """Rules about one subject."""

    title: str
    rules: tuple[Rule, ...]


@cache
def spelled_below(folder: str) -> Mapping[str, Spelled]:
    """Answer the tests of a folder, `path::name`, each with what it spells out.

    What the helpers and constants of its module spell that it uses counts as its own.
    """
    found = {}
    for path in sorted((TESTS / folder).rglob("test_*.py")):
        top = {name: node for node in ast.parse(path.read_text()).body for name in _names(node)}
        for name in top:
            if name.startswith("test_"):
                found[f"{path.relative_to(ROOT).as_posix()}::{name}"] = _spelled(name, top)
    return found


def provoking(package: str, reason: str) -> str:
    """Answer the first test that expects a reason, or that spells it out; empty for none."""
    tests = [one for folder in _PROVOKED[package] for one in spelled_below(folder).items()]
    expecting = (name for name, spelled in tests if reason in spelled.refused)
    spelling = (name for name, spelled in tests if reason in spelled.anywhere)
    return next(expecting, "") or next(spelling, "")


def sections(table: Path = RULES) -> list[Section]:
    """Answer the rules as a table has them.

    Raises:
        ValueError: a rule has not exactly one of `tests`, `why` and `awaits`.
    """
    return [
        Section(
            one["title"],
            tuple(
                Rule(name, **{key: _frozen(value) for key, value in entry.items()})
                for name, entry in one["rules"].items()
            ),
        )
        for one in _table(table)["section"]
    ]


def explained() -> Mapping[str, str]:
    """Answer why no test provokes a reason, by `package.REASON`."""
    found: Mapping[str, str] = _table(RULES)["reasons"]
    return found


def shown_by(package: str, reason: str) -> str:
    """Write the cell that says which test provokes a reason, or why none does."""
    test = provoking(package, reason)
    return _short(test) if test else explained().get(f"{package}.{reason}", "")


def rules_page() -> str:
    """Write the rules of the product, each with what shows it."""
    lines = [
        "# Rules of the gallery\n",
        "What Stoa promises, and the tests that show it; paths are below `tests/`.\n",
    ]
    for section in sections():
        lines.append(f"## {section.title}\n\n| Rule | Shown by |\n|---|---|")
        lines += [f"| {rule.says} | {_shown(rule)} |" for rule in section.rules]
        lines.append("")
    return "\n".join(lines)


def threats_page() -> str:
    """Write what somebody may try, each with the defence and what shows that it holds."""
    lines = [
        "# Threats\n",
        "What somebody may try, what stands against it, and the tests, below `tests/`, that try.\n",
    ]
    for section in sections(THREATS):
        lines.append(f"## {section.title}\n\n| | Threat | Defence | Tried by |\n|---|---|---|---|")
        lines += [
            f"| {one.id} | {one.says} | {one.defence} | {_shown(one)} |" for one in section.rules
        ]
        lines.append("")
    return "\n".join(lines)


def _shown(rule: Rule) -> str:
    if rule.tests:
        return "<br>".join(_short(test) for test in rule.tests)
    return rule.why or f"Not yet: it awaits {rule.awaits}."


def _short(test: str) -> str:
    return f"`{test.removeprefix('tests/')}`"


@cache
def _table(path: Path) -> Mapping[str, Any]:
    return tomllib.loads(path.read_text())


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _names(node: ast.stmt) -> Iterator[str]:
    """Answer what a statement of a module defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (one.id for one in targets if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            return


def _spelled(name: str, top: Mapping[str, ast.stmt]) -> Spelled:
    nodes, seen = list[ast.AST](), [name]
    for one in seen:
        found = list(ast.walk(top[one]))
        nodes += found
        used = {node.id for node in found if isinstance(node, ast.Name) and node.id in top}
        seen += sorted(used - set(seen))
    calls = [node for node in nodes if isinstance(node, ast.Call) and _refuses(node)]
    refused = (string for call in calls for node in ast.walk(call) for string in _string(node))
    return Spelled(frozenset(s for node in nodes for s in _string(node)), frozenset(refused))


def _refuses(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return "refus" in (call.func.id if isinstance(call.func, ast.Name) else name)


def _string(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
