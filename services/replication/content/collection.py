"""Collecting what nothing refers to, in two phases and without a lock (replication.md 2.12).

First a list of tombstones is made of what no ref and no journal leads to and what is older than
the grace. When the list has waited as long again, everything is marked anew; what is still led to
by nothing is deleted. Age is that of the store's clock. Each step is recorded in the store before
the next, so that whoever comes after a crash goes on with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.replication.content.errors import Cancelled, DataError, RefConflict
from services.replication.content.keys import MANIFESTS, OBJECTS
from services.replication.content.marking import journalled_digests, live_keys
from services.replication.content.store import Store, StoredObject
from services.replication.content.tombstones import (
    UNDATED,
    Listed,
    State,
    bury,
    date,
    read_tombstones,
    store_now,
)

BURIED_AT_ONCE: Final = 200_000
"""The most objects that one round puts on lists; the next round takes the rest."""


class SweepRefused(DataError):
    """Too much of a store would go: rather a mistake than garbage."""

    reason = "SWEEP_REFUSED"


@dataclass(frozen=True, slots=True)
class Rules:
    """How it is collected: `most_percent` of the bytes of a store may go at once.

    `oldest_job` is when the job began that was begun first of those that run, `now` tells the
    time, both by the clock of the database.
    """

    grace: timedelta
    most_percent: int
    now: Callable[[], datetime]
    oldest_job: datetime | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What a round did: objects and bytes deleted, objects put on lists."""

    deleted: int = 0
    deleted_bytes: int = 0
    buried: int = 0


class _Live:
    """The names that something leads to, by their first 64 bits.

    Of whatever tenant and kind: where two were alike, one would stay too long.
    """

    def __init__(self, store: Store) -> None:
        self._names = {_bits(key.rsplit("/", 1)[1]) for key in live_keys(store)}
        self._names.update(_bits(digest.hex()) for digest in journalled_digests(store))

    def has(self, key: str) -> bool:
        """Whether something leads to the object."""
        return _bits(key.rsplit("/", 1)[1]) in self._names


def collect(store: Store, rules: Rules, stop: threading.Event) -> Collected:
    """Do one round of both phases.

    Raises:
        SweepRefused: more than `most_percent` would go; nothing was done.
        InvalidEncoding, ObjectMissing, ObjectCorrupt: a ref, or a manifest that one leads to, is
            bad: what it would keep is not known, and nothing was done.
        Cancelled: `stop` was set; what is done is recorded.
    """
    now = store_now(store)
    lists = list(read_tombstones(store))
    live = _Live(store)
    listed = {key for one in lists for key in one.content.keys}
    doomed, fresh = _look(store, live, listed, before=now - rules.grace)
    if doomed.bytes * 100 > doomed.total * rules.most_percent:
        raise SweepRefused(
            f"{doomed.bytes} of {doomed.total} bytes in {store.url} would go, more than "
            f"{rules.most_percent} %"
        )
    deleted = deleted_bytes = 0
    for one in lists:
        if stop.is_set():
            raise Cancelled
        if one.content.state is State.DELETED:
            if one.modified_time <= now - rules.grace:
                store.delete_ref(one.key, expected=one.tag)
            continue
        if one.content.time == UNDATED:
            date(store, one.key, one.tag, content=replace(one.content, time=rules.now()))
        elif _is_ripe(one, rules, now):
            going = _sweep(store, one, live)
            deleted += len(going)
            deleted_bytes += sum(doomed.lengths.get(key, 0) for key in going)
    bury(store, fresh, rules.now)
    return Collected(deleted, deleted_bytes, len(fresh))


@dataclass(slots=True)
class _Doomed:
    """What nothing leads to and is old enough, against all that there is."""

    total: int
    bytes: int
    lengths: dict[str, int]


def _look(
    store: Store, live: _Live, listed: set[str], *, before: datetime
) -> tuple[_Doomed, list[str]]:
    """Count what is there and what would go; return what is on no list yet."""
    doomed = _Doomed(0, 0, {})
    fresh: list[str] = []
    for item in _objects(store):
        doomed.total += item.length
        if item.modified_time > before or live.has(item.key):
            continue
        doomed.bytes += item.length
        if item.key in listed:
            doomed.lengths[item.key] = item.length
        elif len(fresh) < BURIED_AT_ONCE:
            fresh.append(item.key)
    return doomed, fresh


def _objects(store: Store) -> Iterator[StoredObject]:
    yield from store.list_objects(OBJECTS)
    yield from store.list_objects(MANIFESTS)


def _is_ripe(one: Listed, rules: Rules, now: datetime) -> bool:
    """Whether a list has waited for its grace, and for every job that could have seen its objects.

    Deletions that were begun are brought to their end: nobody relies on these objects.
    """
    if one.content.state is State.DELETING:
        return True
    if one.modified_time > now - rules.grace:
        return False
    return rules.oldest_job is None or rules.oldest_job > one.content.time


def _sweep(store: Store, one: Listed, live: _Live) -> tuple[str, ...]:
    """Delete what is still led to by nothing; the list tells so before and after."""
    content, tag = one.content, one.tag
    if content.state is State.WAITING:
        going = tuple(key for key in content.keys if not live.has(key))
        content = replace(content, state=State.DELETING, keys=going)
        try:
            tag = store.put_ref(one.key, content.encode(), expected=tag)
        except RefConflict:
            # A writer has taken something off it, or another collector is at it: next time.
            return ()
    store.delete(content.keys)
    store.put_ref(one.key, replace(content, state=State.DELETED).encode(), expected=tag)
    return content.keys


def _bits(name: str) -> int:
    return int(name[:16], 16)
