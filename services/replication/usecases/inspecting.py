"""InspectSource: whether a source exists, and what it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.kernel.errors import Code, Unavailable
from services.kernel.names import key
from services.replication.content.disk_source import DiskSource as HashedDisk
from services.replication.content.errors import (
    DataError,
    SourceChanged,
    SourceMissing,
    SourceReferenceRefused,
    SourceUnavailable,
)
from services.replication.content.reader import DiskReader
from services.replication.content.segment_io import read_manifest
from services.replication.domain.desired import DiskSource, SourceKind
from services.replication.domain.failures import make_cause
from services.replication.domain.progress import Cause
from services.replication.domain.states import DiskFormat
from services.replication.ports.outside import BlobContent, BlobSources, SourceFiles, Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.source_formats import (
    FoundFormat,
    find_format,
    inspect_as,
)
from services.replication.usecases.source_opening import name_of


@dataclass(frozen=True, slots=True)
class FoundSource:
    """What is known of a source; sizes in bytes, `root` in hexadecimal and empty if unknown."""

    location: str
    size_bytes: int
    file_bytes: int
    format: str = "RAW"
    etag: str = ""
    uid: str = ""
    root: str = ""
    problem: Cause | None = None


class Inspection:
    """Looks at sources without reading them through."""

    def __init__(
        self, rows: UnitOfWork, blobs: BlobSources, stores: Stores, files: SourceFiles
    ) -> None:
        self._rows: Final = rows
        self._blobs: Final = blobs
        self._stores: Final = stores
        self._files: Final = files

    def inspect(self, source: DiskSource) -> FoundSource | None:
        """Answer what a source is; None where it does not exist.

        A store file without a path is the store itself: it exists where it is allowed.

        Raises:
            Unavailable: SOURCE_UNAVAILABLE, it cannot be looked at now.
        """
        match source.kind:
            case SourceKind.BLOB:
                return self._blob(source)
            case SourceKind.IMAGE_VERSION:
                return self._rows.read(lambda tx: _version_disk(tx, source))
            case SourceKind.STORE_FILE:
                return self._file(source)

    def _blob(self, source: DiskSource) -> FoundSource | None:
        blob = self._blobs.named(key(source.name))
        if blob is None or (source.uid and source.uid != blob.uid):
            return None
        size, problem = blob.size_bytes, None
        if not blob.committed:
            problem = make_cause(
                "BLOB_NOT_COMMITTED",
                Code.FAILED_PRECONDITION,
                f"the upload of {blob.name} is not committed",
                self._now(),
                resource=blob.name,
                committed_bytes=str(blob.file_bytes),
            )
        elif blob.format != DiskFormat.RAW.value:
            size, problem = self._disk_in(blob)
        hashed = blob.committed and blob.format == DiskFormat.RAW.value
        return FoundSource(
            location=blob.location,
            size_bytes=size,
            file_bytes=blob.file_bytes,
            format=blob.format,
            uid=blob.uid,
            root=blob.root if hashed else "",
            problem=problem,
        )

    def _disk_in(self, blob: BlobContent) -> tuple[int, Cause | None]:
        """Answer how large the disk in an uploaded file is, and what is wrong with the file."""
        region = self._rows.read(lambda tx: tx.regions.get(blob.location))
        slot = region.slot(blob.slot) if region is not None else None
        if slot is None:
            raise _unavailable(blob.name, f"the store of {blob.name} is gone")
        try:
            store = self._stores.open(blob.location, slot)
            manifest = read_manifest(store, blob.tenant, bytes.fromhex(blob.root))
            found = inspect_as(
                HashedDisk(DiskReader(store, blob.tenant, manifest)), DiskFormat(blob.format)
            )
        except DataError as error:
            raise _unavailable(blob.name, str(error)) from error
        return found.size_bytes, self._problem(blob.name, found, blob.format, found.found)

    def _file(self, source: DiskSource) -> FoundSource | None:
        location = self._files.location(source.name)
        if location is None:
            return None
        try:
            if not source.path:
                self._files.check(source.name)
                return FoundSource(location, 0, 0, format="")
            file = self._files.open(source.name, source.path)
            try:
                found = find_format(file)
            finally:
                file.close()
        except SourceMissing:
            return None
        except (SourceUnavailable, SourceChanged) as error:
            raise _unavailable(name_of(source), str(error)) from error
        return FoundSource(
            location,
            found.size_bytes,
            file.size,
            format=found.format.value,
            etag=file.pin,
            problem=self._problem(name_of(source), found, "", found.format.value),
        )

    def _problem(
        self, name: str, found: FoundFormat, declared: str, looks_like: str
    ) -> Cause | None:
        """Answer why the disk in a file cannot be read."""
        if not found.reason:
            return None
        more = {"format": declared, "found": looks_like}
        if found.reason == SourceReferenceRefused.reason:
            more = {}
        code = Code.FAILED_PRECONDITION
        return make_cause(found.reason, code, found.message, self._now(), source=name, **more)

    def _now(self) -> datetime:
        return self._rows.read(lambda tx: tx.now())


def _unavailable(name: str, message: str) -> Unavailable:
    return Unavailable(message, reason="SOURCE_UNAVAILABLE", metadata={"source": name})


def _version_disk(tx: Tx, source: DiskSource) -> FoundSource | None:
    version = tx.versions.get(source.uid) if source.uid else tx.versions.named(key(source.name))
    if version is None or version.withdrawn:
        return None
    disk = next((one for one in tx.versions.disks(version.uid) if one.disk == source.disk), None)
    if disk is None:
        return None
    return FoundSource(
        location=version.desired.home,
        size_bytes=disk.size_bytes,
        file_bytes=disk.size_bytes,
        uid=version.uid,
        root=disk.root,
    )
