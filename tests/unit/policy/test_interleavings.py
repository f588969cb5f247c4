"""T17 and T18: whatever happens to any message of the feed, nothing new is shown by an old policy.

The history is gone through once for each message and each fault; after each step everybody asks for
everything, and every answer is compared with what was right (`interleaving`).
"""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from services.kernel.feed import follower
from tests.unit.policy.faulty_feed import Fault
from tests.unit.policy.interleaving import HISTORY, Interleaving

SILENT = (Fault.CUT_OFF, Fault.DOWN)
FAULTS = [one for one in Fault if one is not Fault.NONE and one not in SILENT]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Who follows would wait before they try again.
    monkeypatch.setattr(follower, "_BASE", 0.0)
    # A snapshot tidies up the whole process, which takes longer here than all the rest.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    monkeypatch.setattr(gc, "freeze", lambda: None)


def runs(fault: Fault) -> Iterator[Interleaving]:
    """Go through the history with a fault at each of its messages."""
    whole = Interleaving()
    whole.run()
    # A snapshot, a heartbeat for the stream and one for each step, and every transaction.
    assert whole.feed.count > 2 * len(HISTORY) - sum(one == "content" for one in HISTORY)
    for at in range(1, whole.feed.count + 1):
        run = Interleaving(fault, at)
        try:
            run.run()
        except BaseException as error:
            error.add_note(f"{fault.name} at message {at} of {whole.feed.count}")
            raise
        assert run.feed.struck
        yield run


def test_t17_where_nothing_goes_wrong_every_question_is_answered() -> None:
    run = Interleaving()
    run.run()
    assert set(run.seen) == {
        f"{who} {answer}" for who in ("bob", "carol", "change") for answer in (True, False)
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_t17_no_fault_at_any_message_shows_new_content_by_an_old_policy(fault: Fault) -> None:
    seen: Counter[str] = Counter()
    for run in runs(fault):
        seen += run.seen
        # Authz answers, so what needs the newest policy has it, the first snapshot included.
        assert run.seen["get unavailable"] == 0
    assert seen["bob True"]
    assert seen["bob False"]
    assert seen["carol True"]


@pytest.mark.parametrize("fault", SILENT)
def test_t18_without_authz_reads_last_as_long_as_the_lease_and_changes_not_at_all(
    fault: Fault,
) -> None:
    outlived = 0
    seen: Counter[str] = Counter()
    for run in runs(fault):
        assert run.seen["change unavailable"]
        seen += run.seen
        outlived += run.answered_alone
    assert outlived
    assert seen["get unavailable"] > outlived / 10
    assert seen["list unavailable"]
