"""The command line of a service: `python -m services.<name>` and its children.

    python -m services.catalog [--config FILE] [--ready-file FILE]

runs the parent; `--role` and `--index` are what the parent adds for a child. With `--only workers`
the parent has these children alone, and leaves the database to the service that owns it. With
`--print-config` nothing runs: the settings are checked and printed without secrets.
"""

import argparse
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from services.kernel.child import CannotServe, Child
from services.kernel.config import ConfigError, printable
from services.kernel.process import EXIT_CONFIG, Role, Supervisor

PARENT, SERVER, WORKERS = "parent", "server", "workers"

# New containers, then younger collections, that it takes until the garbage collector looks. A call
# leaves few cycles behind, while open streams and kept rows are many and live long: looking at
# them again after every 700 containers, as by default, is a fifth of what idle streams cost.
_COLLECT_AFTER: Final = (10_000, 50, 20)


@dataclass(frozen=True, slots=True)
class Program:
    """What a service does in each of its processes.

    `migrate` runs in the parent; `serve` and `work` run in a child until its `stop` is
    set, and call its `ready` once they serve. `servers` and `workers` say how many of each
    there are; `others` are children with a role of their own, one process each. `grace`
    (seconds) is how long they may take to end. `config` holds the settings of a service that
    has some.
    """

    migrate: Callable[[], object]
    serve: Callable[[Child], None]
    work: Callable[[Child], None]
    servers: int = 1
    workers: int = 1
    grace: float = 30.0
    config: Any = None
    others: Mapping[str, Callable[[Child], None]] = field(default_factory=dict)


def main(
    module: str,
    load: Callable[[Path | None], Program],
    argv: Sequence[str] | None = None,
) -> int:
    """Run the process that the arguments name; answer its exit code.

    `load` makes the program from the configuration file, if one is named. Its ConfigError
    is printed, and ends the parent as well, since starting a child again would not help.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--config", type=Path, help="a TOML file with a section per service")
    parser.add_argument("--ready-file", type=Path, help="is written once all children serve")
    parser.add_argument("--only", choices=(WORKERS,), help="run no other children than these")
    parser.add_argument("--print-config", action="store_true", help="print settings and end")
    parser.add_argument("--role", default=PARENT, help="the part of the service that this is")
    parser.add_argument("--index", type=int, default=0, help="the number of a server child")
    options = parser.parse_args(argv)
    try:
        program = load(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    if options.print_config:
        sys.stdout.write(_settings(module.rpartition(".")[2], program.config))
        return 0
    if options.role == PARENT:
        workers = Role(WORKERS, program.workers)
        everything = (
            Role(SERVER, program.servers, pinned=True),
            workers,
            *map(Role, program.others),
        )
        supervisor = Supervisor(
            module,
            (workers,) if options.only else everything,
            arguments=("--config", str(options.config)) if options.config else (),
            ready_file=options.ready_file,
            grace=program.grace,
        )
        return supervisor.run(None if options.only else program.migrate)
    roles = {SERVER: program.serve, WORKERS: program.work, **program.others}
    if options.role not in roles:
        parser.error(f"--role is one of {', '.join((PARENT, *roles))}")
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        roles[options.role](Child(grace=program.grace))
    except CannotServe as error:
        sys.stderr.write(f"{module}: {error}\n")
        return 1
    return 0


def _settings(section: str, config: Any) -> str:
    values = printable(config) if config is not None else {}
    lines = [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"
