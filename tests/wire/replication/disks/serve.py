"""A service in a process of its own, for tests that kill it: prints its client port."""

import sys
import threading
from pathlib import Path

from cli.installation.layout import Layout
from services.kernel.rpc.registry import Audience
from tests.wire.replication.disks.serving import DiskService

if __name__ == "__main__":
    installation, data, questions, feed = sys.argv[1:]
    service = DiskService(Layout(Path(installation)), Path(data), authz=(int(questions), int(feed)))
    print(service.ports[Audience.CLIENT], flush=True)
    threading.Event().wait()
