"""The program: what is done once, by servers, and by workers."""

from functools import partial
from pathlib import Path

from services.catalog.config import SERVICE, Config
from services.catalog.store.schema import MIGRATIONS
from services.kernel.child import Child
from services.kernel.config import load
from services.kernel.db.migrations import migrate
from services.kernel.program import Program


def program(file: Path | None) -> Program:
    """Make the program from its settings.

    Raises:
        ConfigError: they are wrong.
    """
    config = load(Config, SERVICE, file=file)
    return Program(
        migrate=lambda: migrate(config.database_url, MIGRATIONS),
        serve=partial(_serve, config),
        work=partial(_work, config),
        servers=config.server_count(),
        grace=config.grace_seconds + 5,
        config=config,
    )


# What a child needs is imported there: the parent, which starts them, does without.
def _serve(config: Config, child: Child) -> None:
    from services.catalog.bootstrap.serving import serve

    serve(config, child)


def _work(config: Config, child: Child) -> None:
    from services.catalog.bootstrap.working import work

    work(config, child)
