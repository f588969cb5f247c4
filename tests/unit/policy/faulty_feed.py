"""A feed of the policy between a log and the real follower, which strikes at one message.

What is handed on, and when, is decided by counting messages. The follower is the one of the
services, on its own thread: a step of a test is over when it waits for a message that is not there.
"""

import enum
import threading
from collections.abc import Iterator
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import policy_feed_service_pb2 as pb

from services.kernel.clock import FakeClock
from services.policy.authority import RemoteDecision
from services.policy.encode import change_to_pb
from services.policy.evaluation import evaluate_all
from services.policy.fresh_head import no_answer
from services.policy.index import IndexEditor, PolicyIndex, empty_index
from tests.unit.policy.feeds import Authz

#: A snapshot comes in several messages, so that it can be struck in its middle.
_CHUNK: Final = 6
#: After this many seconds a test that waits for the follower has failed.
_PATIENCE: Final = 60.0


class Fault(enum.Enum):
    """What happens to one message, and from then on."""

    NONE = "nothing"
    PAUSED = "it and all after it are held up until the end"
    HELD = "it and all after it are held up for some steps"
    DROPPED = "it never arrives"
    TWICE = "it arrives twice"
    SWAPPED = "it arrives after the next one"
    BROKEN = "the connection breaks instead"
    COMPACTED = "the connection breaks, and the log does not reach back that far any more"
    RESTARTED = "the process that follows dies, and another one begins"
    CUT_OFF = "it and all after it are held up for some steps, and authz answers nothing else"
    DOWN = "authz is gone for some steps: nothing answers and nothing is written"


class Broken(grpc.RpcError):
    """The end of a stream, as a stub raises it."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._code.name

    def trailing_metadata(self) -> Any:
        return ()


class Log(Authz):
    """The log of authz, which knows what was right at each of its revisions."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self._roots: dict[int, PolicyIndex] = {}
        # When each revision came to be the newest one.
        self._heads = [(clock.monotonic(), 1)]

    def write(self, *changes: Any) -> Any:
        position = super().write(*changes)
        self._heads.append((self.clock.monotonic(), position.revision))
        return position

    def at(self, revision: int) -> PolicyIndex:
        """Answer the policy as it was at a revision."""
        found = self._roots.get(revision)
        if found is None:
            if revision == 1:
                editor = IndexEditor(empty_index(self.epoch))
                editor.apply(self.start, revision=1)
                found = editor.freeze(1)
            else:
                found = self.at(revision - 1).apply(self.log[revision - 2])
            self._roots[revision] = found
        return found

    def head_before(self, seconds: float) -> int:
        """Answer the revision that was the newest one so many seconds ago."""
        then = self.clock.monotonic() - seconds
        return max((revision for at, revision in self._heads if at <= then), default=1)

    def check_all(self, questions: Any, at_least: str, timeout: float) -> RemoteDecision:
        """Decide at the newest revision, from the policies that are kept."""
        if not self.reachable:
            raise no_answer()
        self.checks.append((tuple(questions), at_least))
        index = self.at(self.position.revision)
        items = []
        for subject, question in questions:
            found = index.directory.principal(subject.tenant.partition("/")[2], subject.id)
            items.append((found.key if found else "", question))
        decision = evaluate_all(index, items, now=self.clock.now())
        return RemoteDecision(decision.allowed, decision.reason, self.position, decision.item)


class FaultyFeed:
    """Stands where the stub of the feed does; strikes at message number `at`, from 1."""

    def __init__(self, log: Log, fault: Fault = Fault.NONE, at: int = 0) -> None:
        self.log: Final = log
        self.fault: Final = fault
        self.count = 0
        self.struck = False
        #: The process that follows is to be ended, and another one begun.
        self.crashed = False
        self._at: Final = at
        self._held = False
        self._compacted = False
        self._beats = 0
        self._changed: Final = threading.Condition()
        self._stream: _Stream | None = None
        self._idle = False

    def Snapshot(self, request: pb.SnapshotRequest) -> "_Stream":
        return self._opened(_Stream(self, self._snapshot()))

    def Watch(self, request: pb.WatchRequest) -> "_Stream":
        found = _Stream(self, self._watch(request.after_revision))
        if self._compacted:
            self._compacted = False
            found.ended = grpc.StatusCode.OUT_OF_RANGE
        return self._opened(found)

    def settle(self) -> None:
        """Send a heartbeat, and wait until the follower has all that it can have."""
        with self._changed:
            self._beats += 1
            self._wait()

    def recover(self) -> None:
        """Let everything go on that was held up; authz answers again."""
        with self._changed:
            self._held = self.crashed = False
            self.log.reachable = True
            if self.fault is Fault.DOWN and self._stream is not None:
                self._stream.ended = grpc.StatusCode.UNAVAILABLE

    def close(self) -> None:
        """End the stream, so that the follower can be stopped."""
        with self._changed:
            if self._stream is not None:
                self._stream.ended = grpc.StatusCode.CANCELLED
            self._changed.notify_all()

    def next_of(self, stream: "_Stream") -> Any:
        """Answer the next message of a stream, on the thread of the follower; wait for it."""
        with self._changed:
            while True:
                if stream.ended is not None:
                    raise Broken(stream.ended)
                message = self._taken(stream)
                if message is not None:
                    return message
                self._idle = True
                self._changed.notify_all()
                self._changed.wait()

    def _opened(self, stream: "_Stream") -> "_Stream":
        with self._changed:
            self._stream = stream
        return stream

    def _wait(self) -> None:
        self._idle = False
        self._changed.notify_all()
        assert self._changed.wait_for(lambda: self._idle, _PATIENCE)

    def _taken(self, stream: "_Stream") -> Any:
        """Answer what comes next, None where nothing may come now."""
        while not self._held and not self.crashed:
            if stream.again:
                return stream.again.pop()
            message = next(stream.messages)
            if message is None:
                return None
            self.count += 1
            if self.count == self._at:
                self.struck = True
                self._strike(stream, message)
                continue
            if stream.late is not None:
                stream.again.append(stream.late)
                stream.late = None
            return message
        return None

    def _strike(self, stream: "_Stream", message: Any) -> None:
        match self.fault:
            case Fault.PAUSED | Fault.HELD | Fault.CUT_OFF | Fault.DOWN:
                self._held = True
                self.log.reachable = self.fault in {Fault.PAUSED, Fault.HELD}
                stream.again.append(message)
            case Fault.TWICE:
                stream.again += [message, message]
            case Fault.SWAPPED:
                stream.late = message
            case Fault.BROKEN | Fault.COMPACTED:
                self._compacted = self.fault is Fault.COMPACTED
                raise Broken(grpc.StatusCode.UNAVAILABLE)
            case Fault.RESTARTED:
                self.crashed = True
            case Fault.DROPPED | Fault.NONE:
                pass

    def _snapshot(self) -> Iterator[Any]:
        position, everything = self.log.position, self.log.everything()
        for place in range(0, len(everything), _CHUNK):
            changes = map(change_to_pb, everything[place : place + _CHUNK])
            yield pb.SnapshotResponse(chunk=pb.SnapshotChunk(changes=changes))
        end = pb.SnapshotEnd(
            epoch=position.epoch,
            revision=position.revision,
            consistency_token=self.log.token(position),
            change_count=len(everything),
        )
        yield pb.SnapshotResponse(end=end)

    def _watch(self, sent: int) -> Iterator[Any]:
        """Answer what is written after a revision, and heartbeats; None while there is nothing."""
        yield self._heartbeat(self.log.position.revision)
        beats = self._beats
        while True:
            if sent < self.log.position.revision:
                sent += 1
                changes = map(change_to_pb, self.log.log[sent - 2].changes)
                yield pb.WatchResponse(transaction=pb.Transaction(revision=sent, changes=changes))
            elif beats < self._beats:
                beats = self._beats
                yield self._heartbeat(sent)
            else:
                yield None

    def _heartbeat(self, head: int) -> pb.WatchResponse:
        now = Timestamp()
        now.FromDatetime(self.log.clock.now())
        return pb.WatchResponse(heartbeat=pb.Heartbeat(head_revision=head, server_time=now))


class _Stream:
    """One call of the follower, as it iterates over it."""

    def __init__(self, feed: FaultyFeed, messages: Iterator[Any]) -> None:
        self._feed = feed
        self.messages = messages
        self.again: list[Any] = []
        self.late: Any = None
        self.ended: grpc.StatusCode | None = None

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> Any:
        return self._feed.next_of(self)
