"""Shallow replicas: a version that is what its sources hold, of which nothing is copied.

Everything about the sources is checked as for a copy, and what they hold recorded as far as
somebody has hashed it. The catalog sees to it that they live on (gallery-semantics 3.11).
"""

from typing import Final

from services.kernel.errors import Code
from services.replication.content.replicate import Origin
from services.replication.domain.desired import DesiredDisk
from services.replication.domain.failures import CopyFailed
from services.replication.domain.records import VersionDisk
from services.replication.domain.states import ReplicationMode
from services.replication.usecases.claims import Task
from services.replication.usecases.settings import EngineSettings
from services.replication.usecases.source_opening import OpenedSource, SourceOpening, name_of
from services.replication.usecases.tasks import Tasks


class ShallowReplicas:
    """Brings about the replicas that lie at their sources."""

    def __init__(self, tasks: Tasks, sources: SourceOpening) -> None:
        self._tasks: Final = tasks
        self._sources: Final = sources

    def refer(self, task: Task) -> None:
        """Look at every source of a version, then say that the version can be read.

        Raises:
            CopyFailed, DataError: a source is not what was admitted, or cannot be read.
            Cancelled, FenceLost: the worker must stop.
        """
        desired = task.version.desired
        found: list[VersionDisk] = []
        for disk in desired.disks:
            with self._sources.opened(disk, desired.home, failures=task.replica.failures) as source:
                require_size(
                    disk, source.size, ReplicationMode.SHALLOW, settings=self._tasks.settings
                )
                require_home(disk, source.location, desired.home)
                found.append(_content(task, disk, source))
        for content in found:
            self._tasks.learn(task, content)
        self._tasks.commit(task)
        self._tasks.complete(task, {}, verified=False)


def require_size(
    disk: DesiredDisk, size: int, mode: ReplicationMode, *, settings: EngineSettings
) -> None:
    """Refuse a disk that is larger than the mode takes (gallery-semantics 3.3).

    Raises:
        CopyFailed: SOURCE_TOO_LARGE.
    """
    is_full = mode is ReplicationMode.FULL
    maximum = settings.full_disk_bytes if is_full else settings.shallow_disk_bytes
    if size > maximum:
        name = name_of(disk.source)
        raise CopyFailed(
            "SOURCE_TOO_LARGE",
            Code.FAILED_PRECONDITION,
            f"{name} has {size} bytes, at most {maximum} are taken",
            metadata={"source": name, "size_bytes": str(size), "maximum_bytes": str(maximum)},
        )


def require_home(disk: DesiredDisk, location: str, home: str) -> None:
    """Refuse a source in another region: what is shallow is read where its source is.

    Raises:
        CopyFailed: SOURCE_LOCATION_MISMATCH.
    """
    if location != home:
        name = name_of(disk.source)
        raise CopyFailed(
            "SOURCE_LOCATION_MISMATCH",
            Code.FAILED_PRECONDITION,
            f"{name} is in {location}, the home region is {home}",
            metadata={"source": name, "location": location, "home_location": home},
        )


def _content(task: Task, disk: DesiredDisk, source: OpenedSource) -> VersionDisk:
    """Answer what a disk holds; of what nobody has hashed, the most that may be data."""
    content = source.content
    if isinstance(content, Origin):
        manifest = content.manifest
        root, data = manifest.root.hex(), manifest.occupied_bytes
    else:
        data = sum(end - begin for begin, end in content.extents(0))
        root = ""
    return VersionDisk(task.version.uid, disk.disk, root, source.size, data)
