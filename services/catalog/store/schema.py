"""The schema that this program needs, and the scripts that make it."""

from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parent / "migrations"
REVISION: Final = "0005"
"""The newest revision; a test compares it with the scripts."""
