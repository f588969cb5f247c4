"""The program: what is done once, by servers, by the feed and by workers."""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Final

from services.authz.bootstrap.stores import stores_of
from services.authz.config import SERVICE, Config
from services.authz.store.schema import MIGRATIONS
from services.authz.usecases.bootstrap import Seed, seed
from services.kernel.child import Child
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.program import Program

FEED: Final = "feed"

_LOG = logging.getLogger(__name__)


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
        grace=config.grace_seconds + 5,
        config=config,
        others={FEED: partial(_feed, config)},
    )


def prepare(config: Config) -> None:
    """Migrate the database, and write the seed into an empty one."""
    migrate(config.database_url, MIGRATIONS)
    with Database.open(config.database_url) as db:
        wanted = Seed(
            config.bootstrap_tenant, config.bootstrap_subscription, config.bootstrap_owner
        )
        if seed(stores_of(db).policy, wanted):
            _LOG.info("the policy begins with tenant %s", wanted.tenant)


# What a child needs is imported there: the parent, which starts them, does without.
def _serve(config: Config, child: Child) -> None:
    from services.authz.bootstrap.serving import serve

    serve(config, child)


def _work(config: Config, child: Child) -> None:
    from services.authz.bootstrap.working import work

    work(config, child)


def _feed(config: Config, child: Child) -> None:
    from services.authz.bootstrap.feeding import feed

    asyncio.run(feed(config, child))
