"""A process that copies one image into two stores and dies whenever it is killed.

Arguments: image, first store, second store, and perhaps the root of a disk of both stores that the
image is compared with. Prints a line for each checkpoint.
"""

import sys
from pathlib import Path

from services.replication.content.journal import forget_task
from services.replication.content.progress import Checkpoint, Control
from services.replication.content.refs import VersionRef, commit_version
from services.replication.content.segment_io import read_manifest
from services.replication.stores.opening import open_store
from tests.integration.replication.data.samples import TENANT, ingest, replicate


def main() -> None:
    image, first_path, second_path, *roots = sys.argv[1:]
    first, second = open_store(first_path), open_store(second_path)

    def say(point: Checkpoint) -> None:
        print(point.task, point.sequence, point.counters.copied, flush=True)

    manifest = ingest(Path(image), first, Control(checkpoint=say))
    base = read_manifest(second, TENANT, bytes.fromhex(roots[0])) if roots else None
    replicate(manifest, first, second, Control(checkpoint=say), base=base)
    for store in (first, second):
        commit_version(store, VersionRef("v1", TENANT, 1, "r1", 1, {"os": manifest.root}))
        forget_task(store, "ingest")
        forget_task(store, "replicate")
    print("done", manifest.root.hex(), flush=True)


if __name__ == "__main__":
    main()
