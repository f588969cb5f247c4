"""The figures that are shown of copies, brought up from disks to replications."""

from dataclasses import replace

from services.replication.domain.progress import PERCENT, Counters, Progress, together
from services.replication.domain.records import Version
from services.replication.domain.states import Intent
from services.replication.ports.rows import Tx


def advanced(before: Progress, counters: Counters, rate: int) -> Progress:
    """Answer the progress of a disk with new counters; 100 percent only a commit gives."""
    shown = Progress(counters, min(counters.percent(), PERCENT - 1), rate)
    return shown.not_below(before.percent)


def raise_progress(tx: Tx, version: Version, location: str) -> None:
    """Bring the figures of region and replication up to those of the replicas."""
    regions = list(tx.versions.regions(version.uid))
    for number, region in enumerate(regions):
        if region.location == location:
            replicas = tx.replicas.of_region(version.uid, location)
            wanted = [one.progress for one in replicas if one.intent is not Intent.REMOVE]
            progress = together(wanted).not_below(region.progress.percent)
            regions[number] = replace(region, progress=progress)
            tx.versions.put_region(regions[number])
    record = tx.replications.get(version.replication)
    if record is None or not record.is_open:
        return
    mine = [one.progress for one in regions if one.location in record.locations]
    tx.replications.update(
        replace(
            record,
            progress=together(mine).not_below(record.progress.percent),
            progress_revision=record.progress_revision + 1,
            update_time=tx.now(),
        )
    )
