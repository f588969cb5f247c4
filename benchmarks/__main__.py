"""Run every benchmark, one after the other: `python -m benchmarks [NAME ...]`.

Each is a script of its own that prints ratios measured side by side in one run.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# What each is given: sizes that end within minutes.
BENCHMARKS = {
    "authz_calls": [],
    "calls": [],
    "catalog_reads": [],
    "copy_peers": [],
    "creating": [],
    # Images of the distribution are built once, for as long as they are not removed.
    "delta": ["--mib", "512", "--keep", ".cache/bench/images"],
    "glance": [],
    "policy_check": ["1000", "100000", "1000000"],
    "policy_peers": ["1000", "10000", "100000"],
    "publishing": [],
    "revocation": [],
    "replication_data": ["--mib", "512"],
    "starting": [],
    "telemetry": [],
    "watching": [],
}


def main() -> int:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    failed = 0
    for name in wanted:
        print(f"\n== {name}\n", flush=True)
        script = [sys.executable, "-m", f"benchmarks.{name}", *BENCHMARKS[name]]
        failed |= subprocess.run(script, cwd=FOLDER.parent, check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
