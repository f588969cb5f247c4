"""What Alembic runs."""

from services.authz.store.tables import METADATA
from services.kernel.db.migrations import run_environment

run_environment(METADATA)
