"""Durations are counted by method and code."""

import threading

from services.kernel.telemetry.metrics import BOUNDS, CallDurations


def test_each_call_lands_in_one_bucket() -> None:
    durations = CallDurations()
    for seconds in (0.001, 0.005, 0.006, 100.0):
        durations.record("a/B", "OK", seconds)
    durations.record("a/B", "NOT_FOUND", 0.2)
    found = {one.code: one for one in durations.snapshot()}
    ok = found["OK"]
    assert (ok.count, ok.smallest, ok.largest) == (4, 0.001, 100.0)
    assert (ok.counts[0], ok.counts[1], ok.counts[-1]) == (2, 1, 1)
    assert len(ok.counts) == len(BOUNDS) + 1
    assert found["NOT_FOUND"].count == 1


def test_nothing_is_lost_between_threads() -> None:
    durations = CallDurations()

    def record() -> None:
        for _ in range(2000):
            durations.record("m", "OK", 0.1)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert durations.snapshot()[0].count == 8000
