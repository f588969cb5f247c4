"""Which schema this program needs."""

from pathlib import Path
from typing import Final

#: The newest migration.
REVISION: Final = "0004"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
