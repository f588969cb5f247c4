"""InspectSource: whether a source exists, and what it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.kernel.errors import Code, Unavailable
from services.kernel.names import key
from services.replication.content.errors import SourceChanged, SourceUnavailable
from services.replication.domain.desired import DiskSource, SourceKind
from services.replication.domain.failures import make_cause
from services.replication.domain.progress import Cause
from services.replication.ports.outside import BlobSources, Stores
from services.replication.ports.rows import Tx, UnitOfWork


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

    def __init__(self, rows: UnitOfWork, blobs: BlobSources, stores: Stores) -> None:
        self._rows: Final = rows
        self._blobs: Final = blobs
        self._stores: Final = stores

    def inspect(self, source: DiskSource) -> FoundSource | None:
        """Answer what a source is; None where it does not exist.

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
        problem = None
        if not blob.committed:
            problem = make_cause(
                "BLOB_NOT_COMMITTED",
                Code.FAILED_PRECONDITION,
                f"the upload of {blob.name} is not committed",
                self._now(),
                resource=blob.name,
                committed_bytes=str(blob.file_bytes),
            )
        elif blob.format != "RAW":
            problem = make_cause(
                "SOURCE_FORMAT_INVALID",
                Code.FAILED_PRECONDITION,
                f"blobs of the format {blob.format} cannot be read",
                self._now(),
                source=blob.name,
                format=blob.format,
                found="",
            )
        return FoundSource(
            location=blob.location,
            size_bytes=blob.size_bytes,
            file_bytes=blob.file_bytes,
            format=blob.format,
            uid=blob.uid,
            root=blob.root if blob.committed else "",
            problem=problem,
        )

    def _file(self, source: DiskSource) -> FoundSource | None:
        try:
            file = self._stores.open_file(source.name, source.path)
        except FileNotFoundError:
            return None
        except (SourceUnavailable, SourceChanged) as error:
            raise Unavailable(
                str(error), reason="SOURCE_UNAVAILABLE", metadata={"source": source.name}
            ) from error
        try:
            return FoundSource("", file.size, file.size, etag=file.pin)
        finally:
            file.close()

    def _now(self) -> datetime:
        return self._rows.read(lambda tx: tx.now())


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
