"""Opening the stores of slots before they belong to a region."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from services.kernel.errors import Code, StoaError, Unavailable
from services.kernel.violations import Violations
from services.replication.content.errors import DataError, ReplicaMismatch
from services.replication.domain.failures import Meaning, meaning_of
from services.replication.domain.names import region_name
from services.replication.domain.region import Region, Slot
from services.replication.ports.outside import Stores
from services.replication.ports.rows import UnitOfWork


class SlotOpening:
    """Probes stores, and makes empty ones the stores of slots."""

    def __init__(self, rows: UnitOfWork, stores: Stores) -> None:
        self._rows: Final = rows
        self._stores: Final = stores

    def open_new(
        self, location: str, slots: Sequence[Slot], *, validate_only: bool
    ) -> tuple[Slot, ...]:
        """Answer new slots with their replica ids; every store is looked at before one is written.

        Raises:
            FailedPrecondition: STORE_NOT_EMPTY, STORE_ACCESS_DENIED, STORE_UNSUPPORTED.
            Unavailable: STORE_UNAVAILABLE.
        """
        problems = _Problems(location)
        for slot in slots:
            problems.collect(slot, partial(self._require_fresh, slot))
        problems.raise_if_any()
        opened: list[Slot] = []
        for slot in slots:
            self._initialise(slot, opened, problems, validate_only=validate_only)
        return tuple(opened)

    def open_changed(
        self,
        before: Region,
        slots: Sequence[Slot],
        replaced: Collection[str],
        *,
        validate_only: bool,
    ) -> tuple[Slot, ...]:
        """Answer the slots of a changed region: known ones keep their replica ids.

        Those in `replaced` get empty stores instead of the ones that they had.

        Raises:
            FailedPrecondition: as `open_new`, REPLICA_MISMATCH for a changed URL that leads to
                another store, and SLOT_IN_USE for a store that answers and is to be replaced.
            Unavailable: STORE_UNAVAILABLE.
        """
        problems = _Problems(before.id)
        for slot in slots:
            known = before.slot(slot.id)
            if known is None:
                problems.collect(slot, partial(self._require_fresh, slot))
            elif slot.id in replaced:
                problems.collect(slot, partial(self._require_replaceable, slot, known))
            elif known.address != slot.address:
                problems.collect(slot, partial(self._require_same, slot, known))
        problems.raise_if_any()
        opened: list[Slot] = []
        for slot in slots:
            known = before.slot(slot.id)
            if known is None or slot.id in replaced:
                self._initialise(slot, opened, problems, validate_only=validate_only)
            else:
                opened.append(replace(slot, replica_id=known.replica_id, probe=known.probe))
        return tuple(opened)

    def _require_fresh(self, slot: Slot) -> None:
        """Refuse a root that holds something.

        One that was initialised by a call that did not get to its end is as good as empty.
        """
        replica_id = self._stores.identify(slot.address)
        if replica_id and (
            self._stores.holds_anything(slot.address) or self._is_registered(replica_id)
        ):
            raise ReplicaMismatch(f"{slot.address.url} is a store already")

    def _require_same(self, slot: Slot, known: Slot) -> None:
        if self._stores.identify(slot.address) != known.replica_id:
            raise _OtherReplica(f"{slot.address.url} does not hold replica {known.replica_id}")

    def _require_replaceable(self, slot: Slot, known: Slot) -> None:
        """Refuse to give up a store that has what was written into it, or to take a used one."""
        try:
            found = self._stores.identify(known.address)
        except DataError:
            found = ""
        if found == known.replica_id:
            raise _StillThere(f"{known.address.url} still holds replica {found}")
        self._require_fresh(slot)

    def _is_registered(self, replica_id: str) -> bool:
        regions = self._rows.read(lambda tx: tx.regions.all())
        return any(slot.replica_id == replica_id for region in regions for slot in region.slots)

    def _initialise(
        self, slot: Slot, opened: list[Slot], problems: "_Problems", *, validate_only: bool
    ) -> None:
        """Add a new slot to those opened before it.

        Its store may have become another one's since it was looked at, or by another name be
        that of a slot before.
        """
        if validate_only:
            opened.append(slot)
            return

        def initialise() -> None:
            replica_id = self._stores.initialise(slot.address)
            if any(one.replica_id == replica_id for one in opened):
                raise ReplicaMismatch(f"{slot.address.url} is the store of another slot")
            probe = self._stores.probe(slot.address, replica_id=replica_id)
            opened.append(replace(slot, replica_id=replica_id, probe=probe))

        problems.collect(slot, initialise)
        problems.raise_if_any()


class _OtherReplica(DataError):
    """A changed URL leads to another store."""


class _StillThere(DataError):
    """A store that is to be replaced answers."""


class _Problems:
    """What is wrong with stores, all of it before anything is answered."""

    def __init__(self, location: str) -> None:
        self._location: Final = location
        self._found: Final = Violations()
        self._away: StoaError | None = None

    def collect(self, slot: Slot, look: Callable[[], None]) -> None:
        """Look at the store of a slot and keep what is wrong."""
        try:
            look()
        except DataError as error:
            self._add(slot, error)

    def raise_if_any(self) -> None:
        """Raise what was found; a store that is away alone is UNAVAILABLE."""
        self._found.raise_if_any()
        if self._away is not None:
            raise self._away

    def _add(self, slot: Slot, error: DataError) -> None:
        metadata = {"location": self._location, "slot": slot.id}
        meaning = _meaning(error)
        message = f"slot {slot.id}: {error}"
        if meaning.code is Code.UNAVAILABLE:
            self._away = Unavailable(
                message, reason=meaning.reason, metadata=metadata, retry_after=1.0
            )
            return
        self._found.precondition(
            meaning.reason,
            f"{region_name(self._location)} slot {slot.id}",
            message,
            reason=meaning.reason,
            metadata=metadata,
        )


def _meaning(error: DataError) -> Meaning:
    meaning = meaning_of(error)
    if isinstance(error, _OtherReplica):
        return replace(meaning, reason="REPLICA_MISMATCH", code=Code.FAILED_PRECONDITION)
    if isinstance(error, _StillThere):
        return replace(meaning, reason="SLOT_IN_USE", code=Code.FAILED_PRECONDITION)
    if isinstance(error, ReplicaMismatch):
        return replace(meaning, reason="STORE_NOT_EMPTY")
    return meaning
