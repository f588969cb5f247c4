"""What Alembic runs."""

from services.kernel.db.migrations import run_environment
from services.replication.store.tables import metadata

run_environment(metadata)
