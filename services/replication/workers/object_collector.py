"""The duty of collecting objects that nothing refers to."""

import logging
from typing import Final

from services.kernel.errors import StoaError
from services.kernel.stopping import Stop
from services.replication.content.errors import Cancelled
from services.replication.usecases.collecting import ObjectCollection

DUTY: Final = "collection"

_LOG = logging.getLogger(__name__)


class ObjectCollector:
    """Does a round in every slot again and again while this process holds the duty."""

    def __init__(self, collection: ObjectCollection, *, every: float) -> None:
        """`every` is how many seconds pass between rounds."""
        self._collection: Final = collection
        self._every: Final = every

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set."""
        while not stop.is_set():
            try:
                self._collection.collect_all(stop)
            except Cancelled:
                return
            except StoaError as error:
                _LOG.warning("objects are collected later: %s", error)
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                _LOG.exception("collecting objects failed")
            stop.wait(self._every)
