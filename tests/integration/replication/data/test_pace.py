"""Requests to a store that throttles: how many at once, how often each, and which are given up."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.replication.content.errors import StoreUnavailable
from services.replication.stores.pace import ROUNDS, TRIES, Pace


def throttled() -> StoreUnavailable:
    error = StoreUnavailable("503")
    error.is_throttled = True
    return error


class Crowded:
    """A store that serves so many requests at once, behind a client that tries each four times."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.lock = threading.Lock()
        self.under_way = self.refused = self.most = 0

    def request(self) -> str:
        for _ in range(4):
            with self.lock:
                has_room = self.under_way < self.room
                self.under_way += has_room
                self.most = max(self.most, self.under_way)
            threading.Event().wait(0.002)
            if has_room:
                with self.lock:
                    self.under_way -= 1
                return "answered"
        self.refused += 1
        raise throttled()


def fail_with(error: Exception) -> Callable[[], None]:
    def request() -> None:
        raise error

    return request


def lower(pace: Pace, times: int) -> None:
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            pace.run(fail_with(throttled()))


def test_no_more_requests_are_under_way_than_the_limit() -> None:
    store, pace = Crowded(room=100), Pace(most=3)
    with ThreadPoolExecutor(12) as pool:
        done = [pool.submit(pace.run, store.request) for _ in range(60)]
        assert {one.result() for one in done} == {"answered"}
    assert 1 < store.most <= 3


def test_a_store_with_little_room_answers_everybody_in_the_end() -> None:
    store, pace = Crowded(room=1), Pace()
    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(pace.run, store.request) for _ in range(120)]
        assert [one.result() for one in done] == ["answered"] * 120
    assert store.refused > 0


def test_the_limit_is_halved_by_what_was_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "_serves_others", lambda *_: False)
    pace = Pace(most=64)
    inside, leave = threading.Barrier(9), threading.Event()

    def hold() -> None:
        inside.wait()
        leave.wait()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(pace.run, hold)
        inside.wait()
        lower(pace, 1)
        limit = pace.limit
        leave.set()
    assert limit == 4


def test_who_was_under_way_when_the_limit_was_lowered_does_not_lower_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pace, "_serves_others", lambda *_: False)
    pace = Pace(most=64)
    inside, leave = threading.Barrier(9), threading.Event()

    def refused() -> None:
        inside.wait()
        leave.wait()
        raise throttled()

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(pace.run, refused) for _ in range(8)]
        inside.wait()
        leave.set()
        assert all(isinstance(one.exception(), StoreUnavailable) for one in done)
    assert pace.limit == 4


def test_rounds_of_answers_raise_the_limit_by_one() -> None:
    pace = Pace(most=4)
    lower(pace, 3)
    needed = []
    for limit in (1, 2, 3):
        answers = 0
        while pace.limit == limit:
            pace.run(lambda: None)
            answers += 1
        needed.append(answers / limit)
    assert needed == [pytest.approx(ROUNDS, abs=ROUNDS / 2)] * 3
    for _ in range(200):
        pace.run(lambda: None)
    assert pace.limit == 4


def test_that_there_is_no_object_is_an_answer() -> None:
    pace = Pace(most=4)
    lower(pace, 1)
    for _ in range(2 * ROUNDS):
        with pytest.raises(FileNotFoundError):
            pace.run(fail_with(FileNotFoundError("x")))
    assert pace.limit == 2


def test_a_store_that_is_away_is_neither_asked_again_nor_slower_for_it() -> None:
    pace = Pace(most=4)
    asked = []

    def request() -> None:
        asked.append(1)
        raise StoreUnavailable("refused")

    with pytest.raises(StoreUnavailable):
        pace.run(request)
    assert (len(asked), pace.limit) == (1, 4)


def test_a_store_that_throttles_everything_is_given_up_at_once() -> None:
    pace = Pace()
    asked = []

    def request() -> None:
        asked.append(1)
        raise throttled()

    with pytest.raises(StoreUnavailable):
        pace.run(request)
    assert len(asked) == 1


def test_a_request_is_given_up_after_so_many_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "_serves_others", lambda *_: True)
    asked = []

    def request() -> None:
        asked.append(1)
        raise throttled()

    with pytest.raises(StoreUnavailable):
        Pace().run(request)
    assert len(asked) == TRIES
