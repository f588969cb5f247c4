"""The streams of UploadBlob of one process: messages on the loop, bytes on threads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from stoa.replication.v1 import blob_upload_pb2 as pb

from services.kernel.errors import DeadlineExceeded, ResourceExhausted, StoaError
from services.kernel.names import Name
from services.kernel.rpc.call import Call
from services.replication.domain.blobs import Blob, HeldBlob
from services.replication.usecases import blob_errors
from services.replication.usecases.blob_uploads import BlobUploads
from services.replication.usecases.upload_session import UploadSession

T = TypeVar("T")

MAX_STREAMS: Final = 64
"""Streams at once; each has four segments of memory."""


@dataclass(slots=True, eq=False)
class _Stream:
    """A stream that writes to a blob; `superseded` is set when it may not go on."""

    blob: Blob
    session: UploadSession | None = None
    # Held by whichever thread is in the session.
    lock: threading.Lock = field(default_factory=threading.Lock)
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class UploadStreams:
    """Serves streams; of two into one blob the later one goes on.

    One that is silent for `idle` seconds ends: its place, and its memory, are somebody else's.
    """

    def __init__(
        self, uploads: BlobUploads, *, idle: float, threads: int = 8, limit: int = MAX_STREAMS
    ) -> None:
        self._uploads: Final = uploads
        self._idle: Final = idle
        self._limit: Final = limit
        self._count = 0
        self._active: Final[dict[str, _Stream]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Final = ThreadPoolExecutor(threads, thread_name_prefix="upload-stream")

    async def serve(self, requests: AsyncIterator[pb.UploadBlobRequest], call: Call) -> HeldBlob:
        """Take the messages of one stream; answer the blob as it is after them."""
        self._loop = asyncio.get_running_loop()
        if self._count >= self._limit:
            raise ResourceExhausted(
                f"{self._limit} uploads are under way",
                reason="TOO_MANY_REQUESTS",
                metadata={"kind": "upload"},
                retry_after=1.0,
            )
        self._count += 1
        try:
            return await self._serve(requests, call)
        finally:
            self._count -= 1

    def deleted(self, name: Name) -> None:
        """End the stream into a blob that was deleted; called on any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._end, name.key)

    def close(self) -> None:
        """Let go of the threads once what runs on them is done."""
        self._pool.shutdown(wait=False)

    def _end(self, name_key: str) -> None:
        for stream in self._active.values():
            if stream.blob.name_key == name_key:
                _supersede(stream)

    async def _serve(self, requests: AsyncIterator[pb.UploadBlobRequest], call: Call) -> HeldBlob:
        first = await anext(requests)
        call.violations.raise_if_any()
        if first.WhichOneof("message") != "start" or call.scope is None:
            raise blob_errors.sequence_invalid(0, "an upload begins with a start")
        start = first.start
        name = call.scope
        blob = await self._run(lambda: self._uploads.admit(name, start.blob_uid))
        stream = _Stream(blob)
        if blob.is_committed:
            return await self._pass(stream, requests, start.offset_bytes)
        while (other := self._active.get(blob.uid)) is not None:
            if other.blob.fence > blob.fence:
                raise blob_errors.taken_over(blob, blob.committed_bytes)
            _supersede(other)
            await other.closed.wait()
        self._active[blob.uid] = stream
        return await self._pass(stream, requests, start.offset_bytes)

    async def _pass(
        self, stream: _Stream, requests: AsyncIterator[pb.UploadBlobRequest], offset: int
    ) -> HeldBlob:
        """Serve a stream whose turn it is, and leave its blob to the next one, whatever happens."""
        opening = self._pool.submit(self._uploads.begin, stream.blob, offset)
        try:
            stream.session = await asyncio.shield(asyncio.wrap_future(opening))
            return await self._take(stream, stream.session, requests)
        finally:
            # A stream that was cut off is closed on a thread, while nobody waits here any more.
            self._submit(lambda: _close(stream, opening.result())).add_done_callback(
                lambda done: self._closed(stream, done)
            )

    async def _take(
        self,
        stream: _Stream,
        session: UploadSession,
        requests: AsyncIterator[pb.UploadBlobRequest],
    ) -> HeldBlob:
        writing: asyncio.Future[None] | None = None
        commit: pb.UploadCommit | None = None
        expected = session.offset
        try:
            while (message := await self._next(stream, requests)) is not None:
                if commit is not None:
                    raise blob_errors.sequence_invalid(expected, "nothing follows a commit")
                match message.WhichOneof("message"):
                    case "chunk":
                        piece = message.chunk
                        if writing is not None:
                            await writing
                        # One piece is written while the next one arrives.
                        writing = self._submit(_writer(stream, session, piece))
                        expected = piece.offset_bytes + (len(piece.data) or piece.zero_bytes)
                    case "commit":
                        commit = message.commit
                    case _:
                        raise blob_errors.sequence_invalid(expected, "an upload has one start")
            if writing is not None:
                await writing
                writing = None
        except BaseException as error:
            if isinstance(error, StoaError) and stream.superseded.is_set():
                raise await self._why(stream) from error
            raise
        if commit is None:
            return await self._run(session.finish)
        wanted = commit
        return await self._run(
            lambda: session.commit(
                wanted.size_bytes,
                blake3_digest=wanted.blake3_digest,
                sha256_digest=wanted.sha256_digest,
            )
        )

    async def _next(
        self, stream: _Stream, requests: AsyncIterator[pb.UploadBlobRequest]
    ) -> pb.UploadBlobRequest | None:
        """Answer the next message, None at the end of the stream.

        Raises:
            Aborted: another stream has taken over while this one waited for its client.
            DeadlineExceeded: its client sent nothing for too long.
            NotFound: the blob was deleted.
        """
        reading = asyncio.ensure_future(_read(requests))
        superseded = asyncio.ensure_future(stream.superseded.wait())
        try:
            done, _ = await asyncio.wait(
                [reading, superseded], timeout=self._idle, return_when=asyncio.FIRST_COMPLETED
            )
            if stream.superseded.is_set():
                raise await self._why(stream)
            if not done:
                raise DeadlineExceeded(
                    f"nothing was sent for {self._idle:g} s; what is durable stays, go on there"
                )
            return reading.result()
        finally:
            reading.cancel()
            superseded.cancel()

    async def _why(self, stream: _Stream) -> StoaError:
        """Answer why a stream was superseded."""
        session = stream.session
        durable = session.durable_offset if session is not None else 0
        if session is None or await self._run(session.exists):
            return blob_errors.taken_over(stream.blob, durable)
        return blob_errors.not_found(stream.blob.name)

    def _closed(self, stream: _Stream, done: "asyncio.Future[None]") -> None:
        if not done.cancelled():
            done.exception()
        if self._active.get(stream.blob.uid) is stream:
            del self._active[stream.blob.uid]
        stream.closed.set()

    def _submit(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._submit(work)


def _supersede(stream: _Stream) -> None:
    stream.superseded.set()
    if stream.session is not None:
        stream.session.abandon()


def _writer(stream: _Stream, session: UploadSession, piece: pb.UploadChunk) -> Callable[[], None]:
    def write() -> None:
        with stream.lock:
            if piece.WhichOneof("content") == "data":
                session.write(piece.offset_bytes, piece.data, piece.blake3_digest)
            else:
                session.write_zeros(piece.offset_bytes, piece.zero_bytes)

    return write


def _close(stream: _Stream, session: UploadSession) -> None:
    with stream.lock:
        try:
            session.save()
        finally:
            session.close()


async def _read(requests: AsyncIterator[pb.UploadBlobRequest]) -> pb.UploadBlobRequest | None:
    return await anext(requests, None)
