"""Blobs: creating, finding, holding and deleting them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from services.kernel.errors import AlreadyExists, StoaError
from services.kernel.etag import require_match
from services.kernel.ids import new_uid
from services.kernel.names import Name
from services.kernel.violations import Violations
from services.replication.content.errors import DataError
from services.replication.domain.blobs import (
    UNHELD_FOR,
    Blob,
    BlobHold,
    BlobRemoval,
    BlobState,
    HeldBlob,
)
from services.replication.domain.names import (
    BLOB_TYPE,
    BLOBS,
    location_key,
    storage_id,
    subscription_of,
)
from services.replication.domain.region import Region, Slot
from services.replication.domain.states import DiskFormat
from services.replication.ports.blobs import BlobPage
from services.replication.ports.outside import Stores
from services.replication.ports.requests import Request
from services.replication.ports.room import Holder
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases import blob_errors
from services.replication.usecases.room import NoRoom, require_any

# A stream that still writes to a deleted blob finds that out within its next window: only
# then is taken out of the slot what it may have put there in the meantime.
_UPLOAD_ENDS_WITHIN: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class NewBlob:
    """What a blob is to be; `tenant` is the id of the tenant that its subscription is in."""

    parent: Name
    id: str
    tenant: str
    location: str
    format: DiskFormat
    size_bytes: int | None
    tags: Mapping[str, str] = field(default_factory=dict)


class Blobs:
    """The use cases of BlobService but for the bytes."""

    def __init__(self, rows: UnitOfWork, stores: Stores) -> None:
        self._rows: Final = rows
        self._stores: Final = stores

    def create(
        self,
        new: NewBlob,
        request: Request[HeldBlob],
        violations: Violations,
        *,
        validate_only: bool = False,
    ) -> bytes:
        """Create an empty blob; with `validate_only` check everything and create nothing.

        Raises:
            InvalidArgument: everything that is wrong at once, REGION_UNKNOWN included.
            AlreadyExists: the name is taken.
            ResourceExhausted, Unavailable: STORE_FULL, STORE_UNAVAILABLE.
        """
        # Stores may be slow to answer: they are asked before the transaction, not in it.
        found: list[tuple[Region, Slot]] = []
        region = self._rows.read(lambda tx: tx.regions.find(location_key(new.location)))
        failure: StoaError | None = None
        if region is not None:
            try:
                found.append((region, self._choose_slot(region, new.size_bytes or 0)))
            except StoaError as error:
                failure = error

        def work(tx: Tx) -> HeldBlob:
            wrong = violations.copy()
            if region is None and not wrong.has_field("blob.location"):
                known = ",".join(one.id for one in tx.regions.all())
                wrong.add(
                    "blob.location",
                    f"there is no region '{new.location}'",
                    reason="REGION_UNKNOWN",
                    metadata={"location": new.location, "known": known},
                )
            wrong.raise_if_any()
            name = BLOBS.format(**new.parent.ids, blob=new.id)
            parsed = BLOBS.parse(name)
            if tx.blobs.named(parsed.key) is not None:
                raise AlreadyExists.of(BLOB_TYPE, name)
            if failure is not None:
                raise failure
            blob = _new_blob(tx, new, parsed, region=found[0][0], slot=found[0][1])
            if validate_only:
                return HeldBlob(replace(blob, uid=""))
            if not tx.blobs.insert(blob):
                raise AlreadyExists.of(BLOB_TYPE, name)
            return HeldBlob(blob)

        if validate_only:
            return request.encode(self._rows.read(work))
        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: work(tx)))

    def get(self, name: Name) -> HeldBlob:
        """Answer a blob; NotFound."""

        def find(tx: Tx) -> HeldBlob:
            blob = tx.blobs.named(name.key)
            if blob is None:
                raise blob_errors.not_found(name.text)
            return _with_holds(tx, [blob])[0]

        return self._rows.read(find)

    def list(self, page: BlobPage) -> Sequence[HeldBlob]:
        """Answer a page of blobs."""
        return self._rows.read(lambda tx: _with_holds(tx, tx.blobs.page(page)))

    def delete(self, name: Name, etag: str, request: Request[None]) -> None:
        """Delete a blob that nothing holds; its bytes follow.

        Raises:
            NotFound: there is none.
            Aborted: ETAG_MISMATCH.
            FailedPrecondition: BLOB_HELD.
        """

        def work(tx: Tx) -> None:
            blob = tx.blobs.named(name.key, lock=True)
            if blob is None:
                raise blob_errors.not_found(name.text)
            require_match(etag, blob.revision, uid=blob.uid, resource=blob.name)
            sources = tx.blobs.holds([blob.uid]).get(blob.uid, ())
            if sources:
                raise blob_errors.held(blob, sources)
            take_away(tx, blob)

        self._rows.transact(lambda tx: tx.requests.once(request, lambda: work(tx)))

    def hold(self, name: Name, blob_uid: str, source_uid: str, source: str) -> HeldBlob:
        """Record that a source is made of a committed blob; a repeat changes nothing.

        Raises:
            NotFound: there is no blob of the name.
            FailedPrecondition: BLOB_REPLACED, BLOB_NOT_COMMITTED.
        """

        def work(tx: Tx) -> HeldBlob:
            blob = tx.blobs.named(name.key, lock=True)
            if blob is None:
                raise blob_errors.not_found(name.text)
            if blob_uid and blob.uid != blob_uid:
                raise blob_errors.replaced(blob)
            if not blob.is_committed:
                raise blob_errors.not_committed(blob)
            now = tx.now()
            if tx.blobs.add_hold(BlobHold(blob.uid, source_uid, source, now)):
                blob = replace(blob, expire_time=None, update_time=now, revision=blob.revision + 1)
                tx.blobs.update(blob)
            return _with_holds(tx, [blob])[0]

        return self._rows.transact(work)

    def release(self, blob_uid: str, source_uid: str) -> None:
        """Record that a source is gone; a repeat changes nothing."""

        def work(tx: Tx) -> None:
            blob = tx.blobs.get(blob_uid, lock=True)
            if blob is None or not tx.blobs.remove_hold(blob_uid, source_uid):
                return
            now = tx.now()
            held = bool(tx.blobs.holds([blob_uid]))
            tx.blobs.update(
                replace(
                    blob,
                    expire_time=None if held else now + UNHELD_FOR,
                    update_time=now,
                    revision=blob.revision + 1,
                )
            )

        self._rows.transact(work)

    def _choose_slot(self, region: Region, needed: int) -> Slot:
        """Answer the first slot of the region that answers and has room.

        The first, since replicas of the region are placed in that order too: one that is made in
        the same slot finds all its bytes there. The declared size only bounds what is needed,
        since zeros occupy nothing: where no slot has all that room, the roomiest takes the blob.
        """
        reserved = self._rows.read(lambda tx: tx.blobs.reserved_bytes(region.id))
        roomiest: tuple[int, Slot] | None = None
        answers = False
        for slot in sorted(region.slots, key=lambda one: not one.usable):
            try:
                free = self._stores.open(region.id, slot).free_bytes()
            except DataError:
                continue
            answers = True
            if free is None or free - reserved.get(slot.id, 0) >= max(needed, 1):
                return slot
            if free > 0 and (roomiest is None or free > roomiest[0]):
                roomiest = free, slot
        if roomiest is None:
            raise blob_errors.no_slot(region.id, full=answers, needed=needed)
        return roomiest[1]


def take_away(tx: Tx, blob: Blob) -> None:
    """Remove the row of a locked blob, and remember what is left in its slot."""
    now = tx.now()
    wait = timedelta(0) if blob.is_committed else _UPLOAD_ENDS_WITHIN
    tx.blobs.delete(blob.uid)
    tx.room.release(Holder(blob.location, blob.slot, blob.uid))
    tx.blobs.add_removal(
        BlobRemoval(
            blob=blob.uid,
            location=blob.location,
            slot=blob.slot,
            attempts=0,
            due_time=now + wait,
            create_time=now,
        )
    )


def _with_holds(tx: Tx, blobs: Sequence[Blob]) -> list[HeldBlob]:
    holds = tx.blobs.holds([one.uid for one in blobs])
    return [HeldBlob(one, holds.get(one.uid, ())) for one in blobs]


def _new_blob(tx: Tx, new: NewBlob, name: Name, *, region: Region, slot: Slot) -> Blob:
    """Build an empty blob; ResourceExhausted where the limit of its region leaves not a byte."""
    now = tx.now()
    try:
        require_any(tx, region)
    except NoRoom as error:
        raise blob_errors.no_room(error, region.id) from error
    return Blob(
        uid=new_uid(),
        name=name.text,
        name_key=name.key,
        parent_key=new.parent.key,
        subscription_key=subscription_of(name.key),
        tenant=storage_id(new.tenant),
        location=region.id,
        slot=slot.id,
        format=new.format,
        size_bytes=new.size_bytes,
        state=BlobState.UPLOADING,
        tags=dict(new.tags),
        create_time=now,
        update_time=now,
        expire_time=now + UNHELD_FOR,
    )
