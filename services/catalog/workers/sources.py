"""What the outbox sends for sources."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from services.catalog.ports.policy import Scopes
from services.catalog.ports.sources import BlobHolds
from services.catalog.ports.transaction import Transact
from services.catalog.usecases import source_holds
from services.kernel.db.outbox import Handler, OutboxMessage


def handlers(transact: Transact, *, holds: BlobHolds, scopes: Scopes) -> Mapping[str, Handler]:
    """Answer the handlers of the messages about sources, by their kinds."""
    finish = _handler(lambda one: source_holds.finish_delete(one, transact, scopes))
    return {
        source_holds.HOLD_BLOB: _handler(lambda one: source_holds.hold(one, transact, holds)),
        source_holds.HOLD_FOR_VERSION: _handler(
            lambda one: source_holds.hold_for_version(one, holds)
        ),
        source_holds.RELEASE_BLOB: _handler(lambda one: source_holds.release(one, holds)),
        source_holds.DELETE_SOURCE: finish,
        source_holds.DELETE_MANAGED_IMAGE: finish,
    }


def _handler(handle: Callable[[Mapping[str, Any]], object]) -> Handler:
    def send(message: OutboxMessage) -> None:
        handle(json.loads(message.payload))

    return send
