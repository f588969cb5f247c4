import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from services.kernel.clock import FakeClock
from services.kernel.db.request_log import KEPT, RequestKey, RequestLog
from services.kernel.errors import InvalidArgument

REQUEST = RequestKey("caller", "Create", "6f1c1b9e-0000-4000-8000-00000000000a")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(kernel, clock) -> RequestLog:
    return RequestLog(kernel.request_log, clock)


def send(kernel, log: RequestLog, reply: bytes, request=REQUEST, digest=b"d") -> bytes:
    answer: bytes = kernel.db.transact(lambda tx: log.once(tx, request, digest, lambda: reply))
    return answer


def test_a_repeated_request_gets_the_first_reply(kernel, log):
    assert send(kernel, log, b"first") == b"first"
    assert send(kernel, log, b"second") == b"first"
    upper = RequestKey("caller", "Create", REQUEST.request_id.upper())
    assert send(kernel, log, b"third", upper) == b"first"


@pytest.mark.parametrize(
    "other",
    [
        RequestKey("another", "Create", REQUEST.request_id),
        RequestKey("caller", "Delete", REQUEST.request_id),
        RequestKey("caller", "Create", "6f1c1b9e-0000-4000-8000-00000000000b"),
        RequestKey("caller", "Create", ""),
    ],
)
def test_another_caller_method_or_id_is_another_request(kernel, log, other):
    send(kernel, log, b"first")
    assert send(kernel, log, b"second", other) == b"second"


def test_work_without_a_request_id_is_done_each_time(kernel, log):
    nameless = RequestKey("caller", "Create", "")
    assert [send(kernel, log, reply, nameless) for reply in (b"1", b"2")] == [b"1", b"2"]


def test_the_same_id_with_another_request_is_refused(kernel, log):
    send(kernel, log, b"first")
    with pytest.raises(InvalidArgument) as refused:
        send(kernel, log, b"second", digest=b"other")
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert [violation.field for violation in refused.value.violations] == ["request_id"]


def test_nothing_is_recorded_of_a_request_that_failed(kernel, log):
    def fail(tx: Connection):
        return log.once(tx, REQUEST, b"d", lambda: bytes([1 // 0]))

    with pytest.raises(ZeroDivisionError):
        kernel.db.transact(fail)
    assert send(kernel, log, b"second") == b"second"


def test_a_reply_is_kept_for_a_day(kernel, log, clock):
    send(kernel, log, b"first")
    clock.advance(KEPT.total_seconds() - 1)
    assert send(kernel, log, b"second") == b"first"
    clock.advance(1)
    assert send(kernel, log, b"third", digest=b"other") == b"third"
    assert send(kernel, log, b"fourth", digest=b"other") == b"third"


def test_concurrent_repeats_do_the_work_once(kernel, log):
    done: list[int] = []
    together = threading.Barrier(6)

    def work(number: int) -> bytes:
        done.append(number)
        return b"%d" % number

    def repeat(number: int) -> bytes:
        together.wait(10)
        answer: bytes = kernel.db.transact(
            lambda tx: log.once(tx, REQUEST, b"d", lambda: work(number))
        )
        return answer

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(repeat, range(6)))
    assert len(done) == 1
    assert set(replies) == {b"%d" % done[0]}


def test_expired_replies_are_purged(kernel, log, clock):
    send(kernel, log, b"first")
    clock.advance(KEPT.total_seconds())
    send(kernel, log, b"new", RequestKey("caller", "Delete", REQUEST.request_id))
    assert kernel.db.transact(log.purge) == 1
    assert kernel.db.transact(log.purge) == 0
