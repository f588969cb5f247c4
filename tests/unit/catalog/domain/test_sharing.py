"""Steps in the sharing of a gallery."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.catalog.domain.gallery import (
    CommunityTexts,
    Consumers,
    Gallery,
    PendingShare,
    ShareChange,
    ShareOperation,
    Sharing,
    SharingMode,
)
from services.catalog.domain.sharing import after, audience, check
from services.kernel.errors import FailedPrecondition
from services.kernel.violations import Violations

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TEXTS = CommunityTexts("https://example.org", "a@example.org", "terms", "", "Prefix")
A, B, C = "subscriptions/A", "subscriptions/b", "subscriptions/C"
GROUPS = Sharing(SharingMode.GROUPS, groups=Consumers((A, B)))
OPEN = Sharing(SharingMode.COMMUNITY, texts=TEXTS, public_name="P-1", community_enabled=True)


def _change(operation: ShareOperation, *subscriptions: str) -> ShareChange:
    return ShareChange(operation, Consumers(subscriptions))


def _gallery(sharing: Sharing, pending: PendingShare | None = None) -> Gallery:
    return Gallery(
        name="subscriptions/s/resourceGroups/r/galleries/g",
        uid="u",
        location="eastus",
        create_time=NOW,
        update_time=NOW,
        shared_id="i",
        sharing=sharing,
        pending=pending,
    )


def test_consumers_are_added_once_and_keep_their_order() -> None:
    found = after(GROUPS, _change(ShareOperation.ADD, C, "subscriptions/a"))
    assert found.groups.subscriptions == (A, B, C)
    assert found.sequence == GROUPS.sequence + 1


def test_consumers_are_removed_whatever_their_spelling() -> None:
    found = after(GROUPS, _change(ShareOperation.REMOVE, "subscriptions/B", C))
    assert found.groups.subscriptions == (A,)


def test_closing_keeps_what_a_reset_takes_back() -> None:
    blocked = after(OPEN, _change(ShareOperation.BLOCK_CONSUMER, A))
    closed = after(blocked, _change(ShareOperation.DISABLE_COMMUNITY))
    assert (closed.public_name, closed.blocked.subscriptions) == ("P-1", (A,))
    assert not closed.shared
    reset = after(closed, _change(ShareOperation.RESET))
    assert reset == Sharing(sequence=closed.sequence + 1)


@pytest.mark.parametrize("operation", list(ShareOperation))
def test_only_a_reset_fits_every_mode(operation: ShareOperation) -> None:
    fitting = set()
    for mode in SharingMode:
        violations = Violations()
        check(_gallery(Sharing(mode, texts=TEXTS)), _change(operation), violations)
        if not violations:
            fitting.add(mode)
    assert len(fitting) == (3 if operation is ShareOperation.RESET else 1)


def test_opening_demands_the_texts() -> None:
    violations = Violations()
    bare = replace(OPEN, texts=CommunityTexts())
    check(_gallery(bare), _change(ShareOperation.ENABLE_COMMUNITY), violations)
    with pytest.raises(FailedPrecondition) as raised:
        violations.raise_if_any()
    assert raised.value.reason == "COMMUNITY_INFO_INCOMPLETE"
    assert len(raised.value.precondition) == 4


def test_the_audience_of_a_change_is_its_difference() -> None:
    seen = audience(GROUPS, replace(GROUPS, groups=Consumers((B, C))))
    assert (seen.gaining.subscriptions, seen.losing.subscriptions) == ((C,), (A,))
    assert not seen.public


def test_who_is_blocked_loses_an_open_gallery() -> None:
    blocked = replace(OPEN, blocked=Consumers((A,)))
    assert audience(OPEN, blocked).losing.subscriptions == (A,)
    assert audience(blocked, OPEN).gaining.subscriptions == (A,)
    closed = replace(OPEN, community_enabled=False)
    assert not audience(closed, replace(blocked, community_enabled=False)).losing
    assert audience(closed, OPEN).opened


def test_a_pending_change_is_obeyed_in_its_stricter_mode() -> None:
    change = _change(ShareOperation.RESET)
    pending = PendingShare("id", change, after(OPEN, change), NOW)
    assert _gallery(OPEN, pending).effective_mode is SharingMode.COMMUNITY
    opening = PendingShare("id", change, OPEN, NOW)
    assert _gallery(Sharing(), opening).effective_mode is SharingMode.COMMUNITY
