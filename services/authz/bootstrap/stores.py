"""The stores of every process."""

from contextlib import ExitStack

from services.authz.config import Config
from services.authz.convert import changes, entries
from services.authz.store.opening import Stores, open_stores
from services.authz.store.schema import REVISION
from services.kernel.clock import SystemClock
from services.kernel.db.engine import Database
from services.kernel.rpc.serving import open_database


def stores_of(db: Database) -> Stores:
    """Build the stores over a database."""
    return open_stores(db, changes.entry, entries.decode, SystemClock())


def open_stores_of(config: Config, stack: ExitStack) -> Stores:
    """Build the stores over the database of the settings; `stack` closes it."""
    return stores_of(open_database(config, REVISION, stack))
