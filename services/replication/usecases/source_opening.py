"""The source of a disk, opened for the copy that fixes what the disk holds."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.kernel.errors import Code
from services.replication.content.disk_source import DiskSource as HashedDisk
from services.replication.content.errors import (
    SourceChanged,
    SourceFormatInvalid,
    SourceMissing,
    SourceReferenceRefused,
    SourceUnavailable,
)
from services.replication.content.reader import DiskReader
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import read_manifest
from services.replication.content.source import Source
from services.replication.domain.desired import DesiredDisk, DiskSource, SourceKind
from services.replication.domain.failures import CopyFailed, meaning_of
from services.replication.domain.states import DiskFormat
from services.replication.ports.outside import SourceFiles, Stores
from services.replication.usecases.origins import Origins
from services.replication.usecases.source_formats import open_disk


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A source: a hashed disk to be replicated, or bytes to be ingested; and its region."""

    location: str
    content: Origin | Source

    @property
    def size(self) -> int:
        """The size of the disk in bytes."""
        if isinstance(self.content, Origin):
            return self.content.manifest.header.logical_size
        return self.content.size


class SourceOpening:
    """Opens what disks are made from."""

    def __init__(self, origins: Origins, stores: Stores, files: SourceFiles) -> None:
        self._origins: Final = origins
        self._stores: Final = stores
        self._files: Final = files

    @contextlib.contextmanager
    def opened(self, disk: DesiredDisk, home: str, *, failures: int) -> Iterator[OpenedSource]:
        """Keep the source of a disk open as long as the block lasts.

        After `failures` the next best replica of a version is read.

        Raises:
            CopyFailed: it is not what was admitted, not there or not readable; also where that
                shows in the block.
            DataError: of the store that holds it.
        """
        disk, home = self._origins.behind(disk, home)
        source = disk.source
        with _explained(disk):
            if source.kind is SourceKind.STORE_FILE:
                with self._file(source, home) as file:
                    yield OpenedSource(home, open_disk(file, disk.format))
                return
            place = self._origins.source_place(disk, home, failures=failures)
            store = self._stores.open(place.location, place.slot)
            manifest = read_manifest(store, place.tenant, bytes.fromhex(place.root))
            if disk.format is DiskFormat.RAW:
                yield OpenedSource(place.location, Origin(store, place.tenant, manifest))
                return
            blob = HashedDisk(DiskReader(store, place.tenant, manifest))
            yield OpenedSource(place.location, open_disk(blob, disk.format))

    @contextlib.contextmanager
    def _file(self, source: DiskSource, home: str) -> Iterator[Source]:
        location = self._files.location(source.name)
        if location is not None and location != home:
            raise CopyFailed(
                "SOURCE_LOCATION_MISMATCH",
                Code.FAILED_PRECONDITION,
                f"{name_of(source)} is in {location}, the home region is {home}",
                metadata={
                    "source": name_of(source),
                    "location": location,
                    "home_location": home,
                },
            )
        file = self._files.open(source.name, source.path)
        try:
            if file.pin != source.etag:
                raise CopyFailed(
                    "SOURCE_CHANGED",
                    Code.FAILED_PRECONDITION,
                    f"{name_of(source)} is not what it was when it was accepted",
                    metadata={
                        "source": name_of(source),
                        "expected": source.etag,
                        "found": file.pin,
                    },
                )
            yield file
        except SourceFormatInvalid:
            # What was written over meanwhile may look like damage.
            file.check()
            raise
        finally:
            file.close()


def name_of(source: DiskSource) -> str:
    """Answer what a source is called in causes."""
    return f"{source.name}/{source.path}" if source.path else source.name


@contextlib.contextmanager
def _explained(disk: DesiredDisk) -> Iterator[None]:
    """Name the source in whatever is wrong with it."""
    try:
        yield
    except SourceFormatInvalid as error:
        raise _failed(
            error, disk.source, {"format": disk.format.value, "found": error.found}
        ) from error
    except SourceChanged as error:
        raise _failed(error, disk.source, {"expected": disk.source.etag, "found": ""}) from error
    except (SourceMissing, SourceReferenceRefused, SourceUnavailable) as error:
        raise _failed(error, disk.source, {}) from error


def _failed(error: Exception, source: DiskSource, metadata: Mapping[str, str]) -> CopyFailed:
    meaning = meaning_of(error)
    return CopyFailed(
        meaning.reason,
        meaning.code,
        str(error),
        remedy=meaning.remedy,
        metadata={"source": name_of(source), **metadata},
    )
