"""What the services of all sources do alike: Get, List, Delete, and waiting for holds."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from services.catalog.convert.common import PROVISIONING_STATES
from services.catalog.domain import names
from services.catalog.domain.hardware import Architecture, HyperVGeneration, OsState, OsType
from services.catalog.domain.resource import ProvisioningState
from services.catalog.ports.reading import Reader
from services.catalog.servicers import mutations, reading
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.resource_groups import COMMON_FIELDS, COMMON_ORDERS
from services.catalog.usecases import source_delete, source_holds
from services.catalog.usecases.deletes import Delete
from services.catalog.usecases.source_create import World
from services.catalog.usecases.source_types import SourceType
from services.kernel.errors import DeadlineExceeded, Unavailable
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call

Fields = Mapping[str, Kind | Collection[str]]

SYSTEM_FIELDS: Final[Fields] = {
    "os_type": frozenset(one.name for one in OsType),
    "os_state": frozenset(one.name for one in OsState),
    "hyper_v_generation": frozenset(one.name for one in HyperVGeneration),
    "architecture": frozenset(one.name for one in Architecture),
}
_CREATING: Final = PROVISIONING_STATES.number(ProvisioningState.CREATING)
_EMPTY: Final = b""


class Sources:
    """The sources of one kind; `world` is what their creations ask."""

    def __init__(
        self,
        dependencies: Dependencies,
        kind: SourceType,
        reader: Reader,
        response: type[Any],
        *,
        entries: str,
        fields: Fields,
    ) -> None:
        """`response` is the message of a page, with the sources in its field `entries`."""
        self._d: Final = dependencies
        self._kind: Final = kind
        self._reader: Final = reader
        self.world: Final = World(
            dependencies.subscriptions,
            dependencies.regions,
            dependencies.sources,
            dependencies.look,
        )

        def fill(rows: Any, token: str) -> Any:
            page = response(next_page_token=token)
            for row in rows:
                getattr(page, entries).add().ParseFromString(row.body)
            return page

        self._listing: Final = reading.Listing(
            {**COMMON_FIELDS, **fields},
            COMMON_ORDERS,
            fill,
            lambda parent: dependencies.readers.groups.exists(parent.key),
            names.RESOURCE_GROUP_TYPE,
        )

    def get(self, call: Call) -> bytes:
        """Answer one source."""
        return reading.get(self._d, call, self._reader, self._kind.resource_type)

    def page(self, request: Any, call: Call) -> Any:
        """Answer a page of a list."""
        return reading.page(self._d, call, self._reader, request, listing=self._listing)

    def delete(self, request: Any, call: Call) -> bytes:
        """Delete a source: when this answers, its name is free."""
        name = mutations.scope_of(call)
        mutations.mutate(
            self._d,
            call,
            request,
            encode=_nothing,
            names=("name",),
            use=lambda context, mutation: source_delete.delete(
                self._kind, Delete(name, request.etag), context, mutation
            ),
        )
        # The outbox would do the same a moment later; but an answer says that the name is free.
        going = source_holds.deleting(name.text, self._d.transact)
        if going is not None:
            source_holds.finish_delete(going, self._d.transact, self._d.scopes)
        return _EMPTY

    def held(self, reply: bytes, message: type[Any], encode: Callable[[Any], Any]) -> bytes:
        """Answer a source once its blobs are held, or as it is while nobody answers.

        `message` is that of the reply, and `encode` makes it of a source.
        """
        made = message.FromString(reply)
        if made.provisioning_state != _CREATING:
            return reply
        try:
            found = source_holds.hold_now(
                made.name, made.uid, transact=self._d.transact, holds=self._d.holds
            )
        except (Unavailable, DeadlineExceeded):
            return reply
        return reply if found is None else encode(found).SerializeToString()


def _nothing(_: object) -> bytes:
    return _EMPTY
