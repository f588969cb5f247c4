import threading

from services.policy.consistency import LogPosition
from services.policy.reporter import Reporter
from tests.unit.policy.feeds import System
from tests.unit.policy.worlds import role


class Noticed(System):
    """A system whose reports can be waited for."""

    def __init__(self) -> None:
        super().__init__(role("*"))
        self.told = threading.Condition()
        report = self.authz.report

        def noticed(position, **more):
            with self.told:
                report(position, **more)
                self.told.notify_all()

        self.authz.report = noticed  # type: ignore[method-assign]
        self.reporter = Reporter(self.replica, self.authz, clock=self.clock)

    def wait_for(self, position) -> None:
        with self.told:
            assert self.told.wait_for(
                lambda: any(one == position for one, _ in self.authz.reports), 10
            )


def test_the_position_is_told_at_once_and_after_each_change():
    system = Noticed()
    system.reporter.start()
    system.wait_for(LogPosition(1, 2))
    system.authz.write(role("*/read", id="r2"))
    system.feed.deliver()
    system.wait_for(LogPosition(1, 3))
    system.reporter.stop()
    assert system.authz.reports[-1] == (LogPosition(1, 3), True)


def test_a_report_that_fails_does_not_count_and_is_repeated():
    system = Noticed()
    replica = system.replica
    replica._reported_at = float("-inf")
    system.authz.reachable = False
    assert system.reporter.report_once() == LogPosition(1, 2)
    assert replica.age() == float("inf")
    system.authz.reachable = True
    system.reporter.report_once()
    assert replica.age() == 0.0


def test_a_report_counts_from_when_it_began():
    system = Noticed()
    replica = system.replica
    replica._reported_at = float("-inf")
    report = system.authz.report

    def slow(position, **more):
        report(position, **more)
        system.clock.advance(3.0)

    system.authz.report = slow  # type: ignore[method-assign]
    system.reporter.report_once()
    system.feed.beat()
    assert replica.age() == 3.0
