from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.authz.domain.records import SharingGrant
from services.authz.domain.sharing_steps import Operation, Step
from services.authz.usecases.digests import HELD_FOR, SimulationDigests

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GALLERY = "subscriptions/s/resourceGroups/rg/galleries/golden"
STEP = Step(Operation.ADD, ("subscriptions/a", "subscriptions/b"), ("tenants/t",))
BEFORE = SharingGrant(GALLERY, "uid", "shared", 1, b"", NOW, revision=7)
DIGESTS = SimulationDigests(b"s" * 16)


def good(digest, gallery=GALLERY, step=STEP, before=BEFORE, now=NOW, by=DIGESTS):
    return by.is_good(digest, gallery, step, before, now=now)


@pytest.fixture
def digest():
    made, lapses = DIGESTS.make(GALLERY, STEP, BEFORE, now=NOW)
    assert lapses == NOW + HELD_FOR
    assert len(made) <= 256
    return made


def test_a_digest_is_good_until_it_lapses(digest):
    assert good(digest)
    assert good(digest, now=NOW + HELD_FOR - timedelta(microseconds=1))
    assert not good(digest, now=NOW + HELD_FOR)


def test_a_digest_is_of_one_step_however_it_is_spelled(digest):
    turned = Step(Operation.ADD, ("subscriptions/B", "subscriptions/a"), ("tenants/T",))
    assert good(digest, gallery=GALLERY.replace("golden", "Golden"), step=turned)
    for other in (
        replace(STEP, operation=Operation.REMOVE),
        replace(STEP, subscriptions=("subscriptions/a",)),
        replace(STEP, tenants=()),
    ):
        assert not good(digest, step=other)
    assert not good(digest, gallery=f"{GALLERY}2")


def test_a_digest_is_of_one_state_of_the_sharing(digest):
    for other in (None, replace(BEFORE, revision=8), replace(BEFORE, gallery_uid="other")):
        assert not good(digest, before=other)
    first, _ = DIGESTS.make(GALLERY, STEP, None, now=NOW)
    assert good(first, before=None)
    assert not good(first)


def test_a_digest_of_another_secret_or_none_is_not_good(digest):
    assert not good(digest, by=SimulationDigests(b"t" * 16))
    for bad in ("", "x", "ÿ", digest[:-4], f"{digest}AAAA", digest.swapcase()):
        assert not good(bad)
