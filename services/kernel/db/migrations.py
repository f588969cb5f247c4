"""Schema migrations, run by the parent process alone, and the check that they were run.

Alembic is imported by the functions that migrate and not by the one that checks, which
is all that a serving process calls.
"""

import contextlib
import fcntl
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from services.kernel.backoff import backoff
from services.kernel.db.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

_LOG = logging.getLogger(__name__)
# How long a database that does not answer is waited for, in seconds.
_PATIENCE: Final = 60.0
# Any number will do, as long as nothing else takes the same advisory lock.
_LOCK_NUMBER: Final = 0x53746F61


class SchemaMismatchError(RuntimeError):
    """The database has another schema than this program: migrate before serving."""


def migrate(url: str, scripts: Path) -> str:
    """Bring the database to the newest revision of a script directory; answer that revision.

    One process at a time migrates a database: others wait here, and then find nothing
    left to do. All revisions that are missing are applied in one transaction, so a
    migration that fails, or is killed, leaves the schema as it was.
    """
    from alembic import command

    with _locked(url):
        engine = _engine(url)
        try:
            with engine.begin() as connection:
                config = _config(scripts)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        finally:
            engine.dispose()
    return newest_revision(scripts)


def newest_revision(scripts: Path) -> str:
    """Answer the one newest revision of a script directory.

    Raises:
        ValueError: there is none.
    """
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config(scripts)).get_current_head()
    if head is None:
        raise ValueError(f"no migrations in {scripts}")
    return head


def run_environment(metadata: MetaData) -> None:
    """Do what Alembic expects of an `env.py`; a service's file consists of this call."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        # SQLite changes a table by copying it.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()


def check_schema(db: Database, expected: str) -> None:
    """Check, by one SELECT, that the database is at the revision `expected`.

    Raises:
        SchemaMismatchError: it is at another one, or was never migrated.
    """
    statement = text("SELECT version_num FROM alembic_version")
    try:
        found = db.read(lambda c: list(c.execute(statement).scalars()))
    except DBAPIError as error:
        raise SchemaMismatchError("the database was never migrated") from error
    if found != [expected]:
        raise SchemaMismatchError(
            f"the database is at revision {', '.join(found) or 'none'}, not {expected}"
        )


def _config(scripts: Path) -> "Config":
    from alembic.config import Config

    config = Config()
    # Alembic reads its options through an interpolating parser.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    # The driver's own transactions end at each DDL statement, so it is told to begin none.
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"isolation_level": None})

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin)
    return engine


@contextlib.contextmanager
def _locked(url: str) -> Iterator[None]:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(f"{parsed.database}.migrate.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    engine = _engine(url)
    try:
        with _connected(engine) as connection:
            connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _LOCK_NUMBER})
            # The lock belongs to the session, which keeps it until it ends.
            connection.commit()
            yield
    finally:
        engine.dispose()


def _connected(engine: Engine) -> Connection:
    """Connect; a database that is started beside its services may answer later than they ask."""
    until, attempt = time.monotonic() + _PATIENCE, 1
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if time.monotonic() >= until:
                raise
            _LOG.warning("the database does not answer yet: %s", error.orig)
        time.sleep(backoff(attempt, base=0.25, cap=2.0))
        attempt += 1
