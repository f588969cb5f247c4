"""Where the programs are that benchmarks run, and run beside."""

import os
import shutil
from pathlib import Path

_FETCHED = Path(__file__).resolve().parent.parent / ".cache" / "bench" / "bin"


def tool(name: str) -> str | None:
    """Answer a program of the machine, or one that `tools/bench_tools.sh` has fetched."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:{_FETCHED}")
