"""The program: what is done once, by servers, and by workers."""

import asyncio
from functools import partial
from pathlib import Path

from services.kernel.child import Child
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.program import Program
from services.replication.config import SERVICE, Config
from services.replication.store.feed import initialise
from services.replication.store.schema import MIGRATIONS


def program(file: Path | None) -> Program:
    """Make the program from its settings.

    Raises:
        ConfigError: they are wrong.
    """
    config = load(Config, SERVICE, file=file)
    return Program(
        migrate=lambda: prepare(config),
        serve=partial(_serve, config),
        work=partial(_work, config),
        servers=config.server_count(),
        workers=config.workers,
        grace=config.grace_seconds + 5,
        config=config,
    )


def prepare(config: Config) -> None:
    """Migrate the database, and give a new one its identity."""
    migrate(config.database_url, MIGRATIONS)
    with Database.open(config.database_url) as db:
        initialise(db)


# What a child needs is imported there: the parent, which starts them, does without.
def _serve(config: Config, child: Child) -> None:
    from services.replication.bootstrap.serving import serve

    asyncio.run(serve(config, child))


def _work(config: Config, child: Child) -> None:
    from services.replication.bootstrap.working import work

    work(config, child)
