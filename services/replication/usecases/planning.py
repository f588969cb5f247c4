"""PlanReplicas: what a desired state would move, by the functions that the copies use.

Slots are chosen as `wanting` chooses them, and what a slot lacks is asked of `plan_disk`, which
asks what `replicate_disk` asks: a plan and the copy after it differ only by what happens between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.kernel.errors import Code, InvalidArgument, NotFound, Unavailable
from services.replication.content.errors import DataError
from services.replication.content.replicate import Origin, plan_disk
from services.replication.content.segment_io import read_manifest
from services.replication.content.source import source_segments
from services.replication.content.store import Store
from services.replication.domain.desired import DesiredDisk, DesiredRegion, DesiredReplicas
from services.replication.domain.failures import CopyFailed, cause_of, make_cause, meaning_of
from services.replication.domain.plans import RegionPlan, crossing_cost, monthly_cost
from services.replication.domain.progress import Cause
from services.replication.domain.region import Region
from services.replication.domain.states import CopyState, ReplicationMode
from services.replication.ports.outside import SourceFiles, Stores
from services.replication.ports.rows import UnitOfWork
from services.replication.usecases.bases import Wanted
from services.replication.usecases.origins import Origins
from services.replication.usecases.plan_facts import Known
from services.replication.usecases.room import NoRoom, limit_of
from services.replication.usecases.source_opening import SourceOpening, name_of
from services.replication.usecases.wanting import placed


@dataclass(frozen=True, slots=True)
class _Content:
    """What a disk holds; without `origin` nobody has hashed it, and `data` is a bound."""

    size: int
    data: int
    location: str
    disk: str = ""
    origin: Origin | None = None


class Planning:
    """Looks at rows and stores; changes neither, and reads no source through."""

    def __init__(
        self, rows: UnitOfWork, origins: Origins, stores: Stores, files: SourceFiles
    ) -> None:
        self._rows: Final = rows
        self._origins: Final = origins
        self._stores: Final = stores
        self._sources: Final = SourceOpening(origins, stores, files)

    def plan(self, desired: DesiredReplicas) -> list[RegionPlan]:
        """Answer the plan of each region in the order wanted, then those that would be removed.

        Raises:
            InvalidArgument: REGION_UNKNOWN.
            NotFound: SOURCE_NOT_FOUND.
            Unavailable: SOURCE_UNAVAILABLE.
        """
        desired = desired.in_order()
        known = self._rows.snapshot(lambda tx: Known(tx, desired))
        for number, wanted in enumerate(desired.regions):
            if wanted.location not in known.regions:
                raise InvalidArgument.of(
                    f"desired.regions[{number}].location",
                    f"there is no region '{wanted.location}'",
                    reason="REGION_UNKNOWN",
                )
        contents, obstacle = self._contents(desired, known)
        plans = [
            self._region(wanted, desired, known, contents=contents, obstacle=obstacle)
            for wanted in desired.regions
        ]
        plans += [
            RegionPlan(location, freed=known.freed(location, frozenset()))
            for location in known.leaving(desired)
        ]
        return [_priced(plan, known) for plan in plans]

    def _contents(
        self, desired: DesiredReplicas, known: Known
    ) -> tuple[list[_Content], Cause | None]:
        """Answer what the disks hold, or why no region could copy them."""
        try:
            return [self._content(disk, desired, known) for disk in desired.disks], None
        except CopyFailed as error:
            raise_if_answered(error)
            return [], cause_of(error, known.now)
        except DataError as error:
            name = name_of(desired.disks[0].source)
            raise Unavailable(
                str(error), reason="SOURCE_UNAVAILABLE", metadata={"source": name}
            ) from error

    def _content(self, disk: DesiredDisk, desired: DesiredReplicas, known: Known) -> _Content:
        root = known.roots.get(disk.disk)
        if known.readable and root:
            best = known.readable[0]
            slot = self._origins.slot(best.location, best.slot)
            store = self._stores.open(best.location, slot)
            manifest = read_manifest(store, desired.tenant, bytes.fromhex(root))
            return _hashed(disk, Origin(store, desired.tenant, manifest), best.location)
        if known.lost:
            raise CopyFailed(
                "NO_COPY_SOURCE", Code.DATA_LOSS, "no replica of the version can be copied from"
            )
        with self._sources.opened(disk, desired.home, failures=0) as opened:
            content = opened.content
            if isinstance(content, Origin):
                return _hashed(disk, content, opened.location)
            data = sum(one.data_bytes(content.size) for one in source_segments(content))
            return _Content(content.size, data, opened.location)

    def _region(
        self,
        wanted: DesiredRegion,
        desired: DesiredReplicas,
        known: Known,
        *,
        contents: Sequence[_Content],
        obstacle: Cause | None,
    ) -> RegionPlan:
        location = wanted.location
        region = known.regions[location]
        if desired.mode is ReplicationMode.SHALLOW:
            return _shallow(location, contents, obstacle)
        held = known.held(location)
        placement, shortage = placed(region, wanted, held, known.now)
        there = {one.slot for one in held if one.state is CopyState.COMPLETED}
        kept = frozenset(placement.chosen)
        plan = RegionPlan(
            location,
            exact=obstacle is None and all(one.origin is not None for one in contents),
            size=sum(one.size for one in contents),
            zero=sum(one.size - one.data for one in contents),
            freed=known.freed(location, kept) if shortage is None else 0,
            obstacle=shortage or obstacle,
        )
        missing: list[int] = []
        for slot in placement.chosen:
            if slot in there or obstacle is not None:
                continue
            count, problem = self._missing(region, slot, contents, desired, now=known.now)
            missing.append(count)
            if problem is not None:
                looked_at = problem.reason == "STORE_FULL"
                plan = replace(
                    plan, exact=plan.exact and looked_at, obstacle=plan.obstacle or problem
                )
        data, written = plan.size - plan.zero, sum(missing)
        plan = replace(
            plan,
            written=written,
            deduplicated=data - max(missing, default=0),
            obstacle=plan.obstacle or _beyond_limit(region, known, written),
        )
        if not missing or any(one.location == location for one in known.readable):
            return plan
        sources = {one.location for one in contents} - {location}
        if not sources:
            return plan
        return replace(plan, source_location=min(sources), crossing=missing[0])

    def _missing(
        self,
        region: Region,
        slot_id: str,
        contents: Sequence[_Content],
        desired: DesiredReplicas,
        *,
        now: datetime,
    ) -> tuple[int, Cause | None]:
        """Answer the bytes that a slot lacks, and what stands in the way of writing them."""
        place = {"location": region.id, "slot": slot_id}
        try:
            store = self._stores.open(region.id, self._origins.slot(region.id, slot_id))
            count = self._lacking(contents, store, desired, (region.id, slot_id))
            free = store.free_bytes()
        except (DataError, CopyFailed) as error:
            return sum(one.data for one in contents), cause_of(error, now, **place)
        if free is None or count <= free:
            return count, None
        full = make_cause(
            "STORE_FULL",
            Code.RESOURCE_EXHAUSTED,
            f"{count} bytes are needed, {free} are free",
            now,
            **place,
        )
        return count, full

    def _lacking(
        self,
        contents: Sequence[_Content],
        store: Store,
        desired: DesiredReplicas,
        place: tuple[str, str],
    ) -> int:
        """Answer the bytes that copies of all disks, one after the other, would write."""
        planned: set[bytes] = set()
        total = 0
        for one in contents:
            if one.origin is None:
                total += one.data
                continue
            wanted = Wanted(desired.uid, desired.version, desired.tenant, one.disk)
            total += plan_disk(
                *(one.origin.manifest, store, desired.tenant),
                planned=planned,
                origin=one.origin.store,
                base=self._origins.base(store, place, wanted),
            ).missing
        return total


def _beyond_limit(region: Region, known: Known, written: int) -> Cause | None:
    """Answer that the limit of a region does not leave what would be written, if so."""
    limit = limit_of(region)
    free = 0 if limit is None else max(limit - known.occupied[region.id], 0)
    if limit is None or written <= free:
        return None
    return cause_of(NoRoom(region.id, written, free), known.now)


def _hashed(disk: DesiredDisk, origin: Origin, location: str) -> _Content:
    manifest = origin.manifest
    size = manifest.header.logical_size
    return _Content(size, manifest.occupied_bytes, location, disk.disk, origin)


def _shallow(location: str, contents: Sequence[_Content], obstacle: Cause | None) -> RegionPlan:
    """Answer the plan of a region whose version stays at its source: nothing is moved."""
    data = sum(one.data for one in contents)
    size = sum(one.size for one in contents)
    return RegionPlan(location, size=size, zero=size - data, deduplicated=data, obstacle=obstacle)


def _priced(plan: RegionPlan, known: Known) -> RegionPlan:
    """Answer a plan with its duration and its costs, as far as they are known."""
    rate = known.rates.get(plan.location)
    seconds = None
    if plan.written == 0:
        seconds = 0
    elif rate is not None:
        seconds = max(1, round(plan.written / rate))
    region = known.regions.get(plan.location)
    origin = known.regions.get(plan.source_location) if plan.crossing else region
    return replace(
        plan,
        seconds=seconds,
        crossing_cost=crossing_cost(plan, origin),
        monthly_cost=monthly_cost(plan, region),
    )


def raise_if_answered(error: CopyFailed) -> None:
    """Raise what the method answers as an error of its own; anything else is an obstacle.

    Raises:
        NotFound: SOURCE_NOT_FOUND.
        Unavailable: SOURCE_UNAVAILABLE.
    """
    meaning = meaning_of(error)
    if meaning.reason == "SOURCE_NOT_FOUND":
        raise NotFound(str(error), reason=meaning.reason, metadata=error.metadata) from error
    if meaning.reason == "SOURCE_UNAVAILABLE":
        raise Unavailable(str(error), reason=meaning.reason, metadata=error.metadata) from error
