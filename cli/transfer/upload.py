"""Uploads a disk into a blob: checksummed, without its zeros, and going on where it stopped."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from blake3 import blake3
from stoa.replication.v1 import blob_pb2, blob_service_pb2, blob_upload_pb2
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub

from cli.errors import CliError, ExitCode, UsageProblem
from cli.statuses import reason_of
from cli.transfer.progress import Meter, View
from cli.transfer.retrying import ATTEMPTS, is_transient, pause
from cli.transfer.sparse import Data, Digests, Piece, Zeros, pieces

# The stream that wrote before may still be open on the other side, or have stored more than was
# answered: the blob says where to go on.
_RESUMABLE: Final = frozenset({"UPLOAD_OFFSET_MISMATCH", "UPLOAD_TAKEN_OVER"})


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A committed blob and what the file was, by the names of the digests."""

    blob: blob_pb2.Blob
    digests: dict[str, str]


class _File:
    """The file that is read; it must not change meanwhile."""

    def __init__(self, path: Path) -> None:
        try:
            self.fd: Final = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageProblem(f"{path} cannot be read.", why=(str(error),)) from error
        self.path: Final = path
        self._stat: Final = os.fstat(self.fd)
        # A block device has its size at its end.
        self.size: Final = self._stat.st_size or os.lseek(self.fd, 0, os.SEEK_END)

    def close(self) -> None:
        os.close(self.fd)

    def refuse_changed(self) -> None:
        """Refuse a file that was written to since it was opened.

        Raises:
            CliError: it was.
        """
        now = os.fstat(self.fd)
        if (now.st_mtime_ns, now.st_size) != (self._stat.st_mtime_ns, self._stat.st_size):
            raise CliError(
                f"{self.path} changed while it was read.",
                todo="Delete the blob, and upload again when nothing writes to the file.",
                code=ExitCode.CONFLICT,
            )


def file_size(path: Path) -> int:
    """The size of a disk in bytes.

    Raises:
        UsageProblem: it cannot be read, or is empty.
    """
    with closing(_File(path)) as found:
        if not found.size:
            raise UsageProblem(f"{path} is empty.")
        return found.size


def upload(
    stub: BlobServiceStub, blob: blob_pb2.Blob, path: Path, shown: View, *, sha256: bool = False
) -> Uploaded:
    """Bring the file's bytes into the blob and commit it; a broken stream is resumed.

    A blob that is committed already is compared with the file by their digests.

    Raises:
        CliError: the file changed, or the services went away for long.
        grpc.RpcError: they refuse.
    """
    with closing(_File(path)) as file:
        meter = Meter(shown, path.name, file.size)
        failures = 0
        while True:
            digests = Digests(sha256=sha256)
            offset = blob.committed_bytes
            try:
                reply = stub.UploadBlob(_messages(blob, file, digests, meter))
            except grpc.RpcError as error:
                resumable = reason_of(error) in _RESUMABLE
                if not (resumable or is_transient(error)) or failures + 1 >= ATTEMPTS:
                    file.refuse_changed()
                    raise
                failures += 1
                meter.state("Reconnecting")
                pause(failures)
                blob = _ask(stub, blob)
                if blob.committed_bytes > offset:
                    failures = 0
                continue
            file.refuse_changed()
            meter.state("Committed", finished=True)
            return Uploaded(reply.blob, digests.named())


def _ask(stub: BlobServiceStub, blob: blob_pb2.Blob) -> blob_pb2.Blob:
    """How far the blob is now; what was known where nobody answers."""
    try:
        return stub.GetBlob(blob_service_pb2.GetBlobRequest(name=blob.name))
    except grpc.RpcError as error:
        if is_transient(error):
            return blob
        raise


def _messages(
    blob: blob_pb2.Blob, file: _File, digests: Digests, meter: Meter
) -> Iterator[blob_upload_pb2.UploadBlobRequest]:
    pb = blob_upload_pb2
    offset = blob.committed_bytes
    # What is there already is read once more: the digest at the end is that of the whole.
    for piece in pieces(file.fd, offset):
        digests.add(piece)
    meter.back(offset)
    start = pb.UploadStart(name=blob.name, offset_bytes=offset, blob_uid=blob.uid)
    yield pb.UploadBlobRequest(start=start)
    for piece in pieces(file.fd, file.size, offset):
        digests.add(piece)
        yield pb.UploadBlobRequest(chunk=_chunk(piece))
        if isinstance(piece, Zeros):
            meter.skip(piece.length)
        else:
            meter.move(len(piece.data))
    meter.state("Committing")
    commit = pb.UploadCommit(size_bytes=file.size, blake3_digest=digests.blake3)
    yield pb.UploadBlobRequest(commit=commit)


def _chunk(piece: Piece) -> blob_upload_pb2.UploadChunk:
    match piece:
        case Data(offset, data):
            return blob_upload_pb2.UploadChunk(
                offset_bytes=offset, data=data, blake3_digest=blake3(data).digest()
            )
        case Zeros(offset, length):
            return blob_upload_pb2.UploadChunk(offset_bytes=offset, zero_bytes=length)
