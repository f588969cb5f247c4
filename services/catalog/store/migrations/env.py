"""What Alembic runs."""

from services.catalog.store.tables import metadata
from services.kernel.db.migrations import run_environment

run_environment(metadata)
