"""How long a list about the policy can be gone on with."""

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from stoa.authz.v1 import access_pb2

from services.authz.servicers.pinning import HELD_FOR, pinned
from services.kernel.clock import FakeClock
from services.kernel.errors import Aborted, InvalidArgument
from services.kernel.paging import PageTokens
from services.kernel.violations import Violations
from services.policy.index import PolicyIndex, empty_index


@dataclass
class Log:
    """A policy with as many revisions as one likes, of which the last ones are held."""

    roots: list[PolicyIndex] = field(default_factory=lambda: [empty_index(1, 1)])
    recent: int = 0
    forgotten: int = 0

    def current(self) -> PolicyIndex:
        return self.roots[-1]

    def at(self, revision: int) -> PolicyIndex | None:
        return self.roots[revision - 1] if revision > self.forgotten else None

    def is_recent(self, revision: int) -> bool:
        return revision >= self.recent

    def oldest(self) -> int:
        return self.forgotten + 1

    def write(self) -> None:
        self.roots.append(empty_index(self.current().epoch, self.current().revision + 1))


def reader(name: str) -> Any:
    return SimpleNamespace(
        caller=SimpleNamespace(id=name),
        policy=SimpleNamespace(path="/list"),
        violations=Violations(),
    )


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def page(clock, log):
    context: Any = SimpleNamespace(tokens=PageTokens(b"s" * 16), now=clock.now)

    def asked(token="", who="ann", **more):
        request = access_pb2.ListAccessibleRequest(action="a", page_token=token, **more)
        return pinned(
            request, reader(who), context=context, history=log, first=lambda _: log.current()
        )

    return asked


def test_the_next_page_is_of_the_revision_and_moment_of_the_first(page, log, clock):
    first = page()
    log.write()
    clock.advance(60)
    second = page(first.token("scope", 1), page_size=7)
    assert (second.index, second.now, second.after) == (first.index, first.now, ("scope", 1))
    assert page().index is log.current()


def test_a_list_is_held_for_some_minutes_or_while_its_revision_is_recent(page, log, clock):
    token = page().token("scope", 1)
    log.write()
    log.recent = 2
    clock.advance((HELD_FOR - timedelta(seconds=1)).total_seconds())
    assert page(token).index.revision == 1
    clock.advance(1)
    with pytest.raises(Aborted) as refused:
        page(token)
    assert refused.value.reason == "LIST_EXPIRED"
    log.recent = 1
    assert page(token).index.revision == 1


def test_a_revision_that_is_gone_ends_the_list(page, log):
    token = page().token("scope", 1)
    log.write()
    log.forgotten = 1
    with pytest.raises(Aborted):
        page(token)


def test_another_epoch_ends_the_list(page, log):
    token = page().token("scope", 1)
    log.roots.append(empty_index(2, 2))
    with pytest.raises(Aborted):
        page(token)


def test_a_token_is_that_of_its_reader(page):
    with pytest.raises(InvalidArgument) as refused:
        page(page().token("scope", 1), who="bob")
    assert refused.value.reason == "PAGE_TOKEN_INVALID"
