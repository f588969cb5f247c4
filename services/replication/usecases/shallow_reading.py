"""Reading a shallow version: from what it was made of, by a few readers at once.

What somebody has hashed, a raw blob or a disk of another version, is verified leaf by leaf as in
any replica. Nothing is known of the bytes of a file or a VHD but that they have not changed:
they are told to be unverified, and none is handed out after the source has.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from services.kernel.errors import ResourceExhausted, StoaError
from services.replication.content.digests import LEAF_BYTES
from services.replication.content.errors import DataError
from services.replication.content.reader import BATCH_BYTES, Data, Piece, Zeros
from services.replication.content.replicate import Origin
from services.replication.content.source import Source
from services.replication.domain.desired import DesiredDisk, SourceKind
from services.replication.domain.failures import CopyFailed, meaning_of
from services.replication.domain.records import SOURCE_SLOT
from services.replication.domain.region import Slot
from services.replication.domain.states import DiskFormat
from services.replication.ports.outside import ReaderSeat, ReaderSeats, SourceFiles, Stores
from services.replication.usecases.damage import Damage
from services.replication.usecases.disk_finding import FoundDisk, no_good_replica
from services.replication.usecases.origins import Origins
from services.replication.usecases.source_opening import SourceOpening
from services.replication.usecases.verified_disk import VerifiedDisk

_LOG = logging.getLogger(__name__)
# Seconds after which a reader may well have come to its end.
_LATER: Final = 5.0
# What says that the source is gone for good, and the version with it.
_GONE: Final = frozenset({"SOURCE_CHANGED", "SOURCE_NOT_FOUND"})


class SourceDisk:
    """A disk that nobody has hashed, read as its source has it now."""

    def __init__(self, source: Source) -> None:
        self._source: Final = source
        # Where the reading is.
        self.at = 0

    def read(self, offset: int, length: int) -> Iterator[Piece]:
        """Yield the pieces of a range in order, without a gap; none of a source that changed.

        Data comes in pieces of at most 1 MiB that end at leaves.

        Raises:
            SourceChanged, SourceMissing, SourceUnavailable.
        """
        self.at = offset
        end = offset + length
        for first, last in self._source.extents(offset):
            begin = max(first - first % LEAF_BYTES, self.at)
            stop = min(-(-last // LEAF_BYTES) * LEAF_BYTES, end)
            if begin >= end:
                break
            yield from self._hole(begin)
            while self.at < stop:
                piece_end = min(self.at - self.at % BATCH_BYTES + BATCH_BYTES, stop)
                yield self._piece(piece_end - self.at)
        yield from self._hole(end)

    def _hole(self, end: int) -> Iterator[Piece]:
        if self.at < end:
            self._source.check()
            begin, self.at = self.at, end
            yield Zeros(begin, end - begin)

    def _piece(self, length: int) -> Piece:
        data = bytearray(length)
        self._source.read_into(self.at, memoryview(data))
        self._source.check()
        offset, self.at = self.at, self.at + length
        return Zeros(offset, length) if data == bytes(length) else Data(offset, memoryview(data))


@dataclass(frozen=True, slots=True)
class OpenedDisk:
    """A disk that is read; `keep` is called before each piece, and may end the reading."""

    disk: VerifiedDisk | SourceDisk
    keep: Callable[[], None]


class ShallowReads:
    """Opens disks of shallow versions for as many readers as one takes."""

    def __init__(
        self,
        origins: Origins,
        stores: Stores,
        files: SourceFiles,
        *,
        damage: Damage,
        seats: ReaderSeats,
    ) -> None:
        self._origins: Final = origins
        self._stores: Final = stores
        self._sources: Final = SourceOpening(origins, stores, files)
        self._damage: Final = damage
        self._seats: Final = seats

    @contextlib.contextmanager
    def opened(self, found: FoundDisk, shallow: DesiredDisk) -> Iterator[OpenedDisk]:
        """Keep a disk open as long as the block lasts.

        Raises:
            ResourceExhausted: SHALLOW_READERS_EXCEEDED, also where a reader was silent for so
                long that another one got its place.
            Unavailable: NO_GOOD_REPLICA, the source cannot be read, or is another one now.
        """
        seat = self._seats.take(found.version.uid)
        if seat is None:
            raise self._crowded()
        disk: VerifiedDisk | SourceDisk | None = None
        try:
            with self._disk(found, shallow) as disk:
                yield OpenedDisk(disk, _Keeper(seat, self._crowded).keep)
        except (CopyFailed, DataError) as error:
            self._report(found, error)
            offset = disk.at if isinstance(disk, SourceDisk) else 0
            raise no_good_replica(found.location, offset) from error
        finally:
            seat.leave()

    @contextlib.contextmanager
    def _disk(self, found: FoundDisk, shallow: DesiredDisk) -> Iterator[VerifiedDisk | SourceDisk]:
        home = found.version.desired.home
        disk, place = self._origins.behind(shallow, home)
        hashed = disk.source.kind is not SourceKind.STORE_FILE and disk.format is DiskFormat.RAW
        if hashed:
            yield VerifiedDisk(self._lender(found, disk, place), self._stores, self._damage)
            return
        with self._sources.opened(shallow, home, failures=0) as opened:
            if not isinstance(opened.content, Origin):
                yield SourceDisk(opened.content)

    def _lender(self, found: FoundDisk, disk: DesiredDisk, home: str) -> FoundDisk:
        """Answer the disk as it lies where it is hashed: damage there is recorded there."""
        place = self._origins.source_place(disk, home)
        slots: tuple[Slot, ...] = (place.slot,)
        if disk.source.kind is SourceKind.IMAGE_VERSION:
            slots = self._origins.slots_of(disk.source.uid, place.location)
        return FoundDisk(
            version=replace(found.version, uid=disk.source.uid, tenant=place.tenant),
            location=place.location,
            content=replace(
                found.content, root=place.root, disk=disk.source.disk or found.content.disk
            ),
            slots=slots,
        )

    def _report(self, found: FoundDisk, error: CopyFailed | DataError) -> None:
        reason = meaning_of(error).reason
        _LOG.warning("%s cannot be read at its source: %s", found.version.uid, error)
        if reason in _GONE:
            self._damage.report(
                found.version.uid,
                found.location,
                SOURCE_SLOT,
                disk=found.content.disk,
                detail=str(error),
            )

    def _crowded(self) -> StoaError:
        maximum = self._seats.count
        return ResourceExhausted(
            f"{maximum} readers are reading the shallow version, and it takes no more",
            reason="SHALLOW_READERS_EXCEEDED",
            metadata={"maximum": str(maximum)},
            retry_after=_LATER,
        )


class _Keeper:
    """Keeps a seat while its reader reads: one that stops reading holds up nobody."""

    def __init__(self, seat: ReaderSeat, crowded: Callable[[], StoaError]) -> None:
        self._seat: Final = seat
        self._crowded: Final = crowded
        self._kept = time.monotonic()

    def keep(self) -> None:
        now = time.monotonic()
        if now - self._kept < self._seat.seconds / 3:
            return
        if not self._seat.keep():
            raise self._crowded()
        self._kept = now
