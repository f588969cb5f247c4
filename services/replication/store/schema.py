"""Where the migrations are, and which is the newest."""

from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parent / "migrations"
REVISION: Final = "0004"
