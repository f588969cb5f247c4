"""The `stoa` command: a gRPC client that also starts the services as processes."""

from typing import Final

# Here and not read from the installed distribution: that takes longer than the rest of
# `stoa --version`. A test compares it with pyproject.toml.
VERSION: Final = "0.1.0"
