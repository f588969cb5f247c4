"""`python -m services.replication.verifier PATH`: exit code 0 sound, 1 damaged, 2 no store."""

import argparse
import json
import sys
from collections.abc import Sequence

from services.replication.content.errors import DataError
from services.replication.verifier.reading import open_contents
from services.replication.verifier.verification import Verification

SOUND, DAMAGED, NO_STORE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the store that the arguments name, and write the report; answer the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.replication.verifier")
    parser.add_argument("place", help="a directory, or a URL as a region has it")
    parser.add_argument("--replica-id", default="", help="the id that the region knows it by")
    given = parser.parse_args(arguments)
    try:
        report = Verification(open_contents(given.place), replica_id=given.replica_id).run()
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return NO_STORE
    json.dump(report.document(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return SOUND if report.is_sound else DAMAGED


if __name__ == "__main__":
    sys.exit(main())
