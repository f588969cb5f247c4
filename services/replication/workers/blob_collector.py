"""The duty of collecting blobs."""

import logging
from typing import Final

from services.kernel.errors import StoaError
from services.kernel.stopping import Stop
from services.replication.usecases.blob_collection import BATCH, BlobCollection

DUTY: Final = "blobs"
EVERY: Final = 60.0
"""Seconds between looks where there is nothing more to do."""

_LOG = logging.getLogger(__name__)


class BlobCollector:
    """Collects again and again, whatever fails, while this process holds the duty."""

    def __init__(self, collection: BlobCollection) -> None:
        self._collection: Final = collection

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set."""
        while not stop.is_set():
            more = False
            try:
                more = self.once()
            except StoaError as error:
                _LOG.warning("blobs are collected later: %s", error)
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                _LOG.exception("collecting blobs failed")
            if not more:
                stop.wait(EVERY)

    def once(self) -> bool:
        """Collect a batch; answer whether there is more at once."""
        collected = self._collection.collect()
        cleared = self._collection.clear()
        return BATCH in {collected, cleared}
