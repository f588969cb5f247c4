"""Mutation testing: changes one thing of a module at a time and asks the tests to notice.

    python tools/mutation.py evaluation search

The known tools do not fit. mutmut runs all mutants behind one process's caches: what `lru_cache`
remembers of the original hides the mutant, and it leaves decorated functions and constants out.
cosmic-ray rewrites files in place, under whatever else runs here. This one compiles the changed
tree in a fork that has imported nothing of `services.policy` yet, and writes no file.

A mutant that no test notices has to stand in docs/mutation.md with the reason why it is
equivalent; any other is printed as the row that is missing there, and the status is 1.
"""

import argparse
import ast
import gc
import importlib
import json
import os
import resource
import sys
import tempfile
from collections import Counter
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis
import pytest

from tools.mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "services/policy"
TESTS = ROOT / "tests/unit/policy"
EQUIVALENT = ROOT / "docs/mutation.md"
#: What decides, in the order of what matters most. Lists of what is accessible are no part of it:
#: that they cover what a question allows, and nothing else, is shown over random worlds.
MODULES = """
    evaluation search scopes matching memberships conditions condition_syntax sharing actions
    directory tree callers index accessible
"""
#: Tests that decide questions; asked where those of the module itself notice nothing.
DECIDING = """
    scopes matching sharing index holders eligible_conditions decision_details evaluation
    custom_roles conditions callers threats_tenants subjects accessible oracle
"""
#: Imported before the fork, since it is the same for every mutant.
UNCHANGED = (
    "cedarpy",
    "grpc",
    "hypothesis.internal.conjecture.engine",
    "pytest_timeout",
    "services.kernel.rpc.access",
)
#: How pytest ends when all tests pass, when one fails, when a module cannot even be imported.
SURVIVED, FAILED, UNREADABLE = 0, 1, 2
# A mutant that never ends is stopped by the processor time that it took, not by the clock: soon
# in the tests of the module, which are quick.
SOON, SECONDS, BYTES = 15, 40, 1 << 30


class _Importer(MetaPathFinder, Loader):
    """Imports one module from a compiled tree in place of its file."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """Answer for the one module alone."""
        origin = self._code.co_filename
        return ModuleSpec(fullname, self, origin=origin) if fullname == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        """Run what has been changed."""
        exec(self._code, vars(module))  # noqa: S102 - the house's own code, but for one change


class _Quickest:
    """Runs first what took least when nothing was changed, and makes no example smaller."""

    def __init__(self, took: dict[str, float]) -> None:
        self.took = took

    def pytest_sessionstart(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("found", hypothesis.settings(), phases=phases)
        hypothesis.settings.load_profile("found")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self.took.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.took[report.nodeid] = self.took.get(report.nodeid, 0.0) + report.duration


def outcome(module: str, tree: ast.Module, timings: Path) -> int:
    """Run the tests against a tree in a fork; answer how it ended, negative for a signal.

    `timings` is written when it is not there, and read when it is.
    """
    child = os.fork()
    if child == 0:
        try:
            os._exit(_tested(module, tree, timings))
        finally:
            os._exit(os.EX_SOFTWARE)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _tested(module: str, tree: ast.Module, timings: Path) -> int:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    try:
        code = compile(tree, SOURCES / f"{module}.py", "exec")
    except (SyntaxError, ValueError):
        return UNREADABLE
    sys.meta_path.insert(0, _Importer(f"services.policy.{module}", code))
    own = sorted(TESTS.glob(f"test_{module}*.py"))
    others = [path for one in DECIDING.split() if (path := TESTS / f"test_{one}.py") not in own]
    # Nobody reads why a test fails, so nothing is spent on that.
    options = ["-xq", "--assert=plain", "--tb=no", "--timeout=0", "-p", "no:cacheprovider"]
    plugins = ["-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"]
    quickest = _Quickest(json.loads(timings.read_text()) if timings.exists() else {})
    status = SURVIVED
    for paths, seconds in ((own, SOON), (others, SECONDS)):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, SECONDS))
        if paths and status == SURVIVED:
            files = map(os.fspath, paths)
            status = int(pytest.main([*options, *plugins, *files], [quickest]))
    if not timings.exists():
        timings.write_text(json.dumps(quickest.took))
    return status


def tested(module: str, scratch: Path) -> Counter[str]:
    """Try all mutants of a module, tell those that need a reason, count how they ended."""
    timings = scratch / module
    tree = ast.parse((SOURCES / f"{module}.py").read_text())
    if outcome(module, tree, timings) != SURVIVED:
        raise SystemExit(f"{module}: the tests fail without any change")
    equivalent = EQUIVALENT.read_text()
    counted: Counter[str] = Counter()
    for mutant in mutants_of(tree):
        ended = outcome(module, tree, timings)
        row = _row(module, mutant)
        if ended in {FAILED, UNREADABLE}:
            counted["killed"] += 1
        elif ended != SURVIVED:
            counted["stopped"] += 1
            print(f"# line {mutant.line} ended with {ended}: {row}", flush=True)
        elif row in equivalent:
            counted["equivalent"] += 1
        else:
            counted["missing"] += 1
            print(f"{row} line {mutant.line} |", flush=True)
    return counted


def _row(module: str, mutant: Mutant) -> str:
    cells = (module, f"`{mutant.inside}`", f"`{mutant.before}`", f"`{mutant.after}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Try the modules that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=MODULES.split())
    modules: list[str] = parser.parse_args().modules
    os.environ.setdefault("STOA_ORACLE_DECISIONS", "2000")
    for name in UNCHANGED:
        importlib.import_module(name)
    missing = 0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = sys.pycache_prefix = scratch
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.dont_write_bytecode = False
        gc.freeze()
        for module in modules:
            counted = tested(module, Path(scratch))
            told = ", ".join(f"{number} {how}" for how, number in sorted(counted.items()))
            print(f"# {module}: {counted.total()} mutants, {told}", flush=True)
            missing += counted["missing"]
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
