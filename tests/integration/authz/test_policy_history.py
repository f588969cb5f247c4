"""The policy as of earlier revisions: the last roots, and what the log can still make again."""

import itertools
from datetime import timedelta

import pytest

from services.authz.ports.policy import Command
from services.authz.store.policy_history import RECENT, PolicyHistory
from services.authz.usecases import directory
from services.authz.usecases.bootstrap import Seed, seed
from services.policy.index import empty_index


def create_tenant(stores, number):
    command = Command(method="test", resource=f"tenants/t{number}", caller_id="ann")
    stores.policy.write(
        command,
        lambda unit: directory.create_tenant(unit, f"tenants/t{number}", "T"),
        lambda tenant: tenant.uid.encode(),
    )


def tenants(index):
    return len(index.directory.tenants)


@pytest.fixture
def looked_at(stores):
    """The revision after the one that this process has seen first: a write looks before it."""
    seed(stores.policy, Seed("t0", "s", "ann"))
    return stores.head.current().revision


def test_every_revision_since_the_first_look_can_be_had(stores, looked_at):
    for number in range(1, 8):
        create_tenant(stores, number)
        if number == 4:
            stores.head.current()
    stores.head.current()
    for later in range(8):
        assert tenants(stores.head.at(looked_at + later)) == 1 + later
    assert stores.head.at(looked_at + 8) is None
    assert tenants(stores.head.at(looked_at - 1)) == 0
    assert stores.head.at(looked_at - 2) is None
    assert stores.head.oldest() == looked_at - 1


def test_a_revision_before_the_last_ones_is_made_again_until_the_log_is_compacted(
    stores, looked_at
):
    for number in range(1, RECENT + 10):
        create_tenant(stores, number)
    newest = stores.head.current()
    assert stores.head.is_recent(newest.revision - RECENT + 1)
    assert not stores.head.is_recent(newest.revision - RECENT)
    assert tenants(stores.head.at(looked_at + 3)) == 4
    stores.upkeep.forget(timedelta(seconds=-1))
    # Made again before, held since; its neighbour was not.
    assert tenants(stores.head.at(looked_at + 3)) == 4
    assert stores.head.at(looked_at + 4) is None
    assert stores.head.oldest() >= newest.revision - RECENT
    assert tenants(stores.head.at(newest.revision - RECENT + 1)) > 4


def test_another_epoch_begins_anew(stores, looked_at):
    create_tenant(stores, 1)
    before = stores.head.current().revision
    stores.db.transact(stores.log.begin_epoch)
    create_tenant(stores, 2)
    now = stores.head.current()
    assert now.epoch == 2
    # The write looked at what the new epoch begins with; what was before that is gone.
    assert stores.head.at(before).epoch == 2
    assert stores.head.at(before - 1) is None
    assert stores.head.at(now.revision) is now


def test_however_many_revisions_go_by_few_roots_are_held():
    history = PolicyHistory()
    count = 40_000
    for revision in range(1, count + 1):
        history.add(empty_index(1, revision))
    held = history._bases
    assert len(held) <= 64
    # What has to be replayed stays bounded too, and the first one is never lost.
    assert held[0].revision == 1
    gaps = [two.revision - one.revision for one, two in itertools.pairwise(held)]
    assert max(gaps) <= count // 32


def test_the_last_roots_made_again_are_kept():
    history = PolicyHistory()
    for revision in range(1, 200):
        history.add(empty_index(1, revision))
    replayed = []

    def replay(base, revision):
        replayed.append((base.revision, revision))
        return empty_index(1, revision)

    assert history.at(30, replay) is history.at(30, replay)
    assert replayed == [(1, 30)]
    assert history.at(100, lambda *_: None) is None
