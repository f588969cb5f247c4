"""Pages of lists, decided by a policy that moves while they are read."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from services.catalog.domain.names import GALLERIES
from services.catalog.ports.reading import ListQuery, Stored
from services.catalog.servicers import reading
from services.kernel.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from services.kernel.filter import Kind as FieldKind
from services.kernel.names import prefixes
from services.kernel.paging import PageTokens
from services.kernel.rpc.access import Caller, Kind
from services.kernel.violations import Violations
from services.policy.model import Kind as Entity
from services.policy.model import Removed
from tests.unit.policy.feeds import System
from tests.unit.policy.worlds import GALLERY, GALLERY_READ, GROUP, assign, deny, role

PAGE = SimpleNamespace(filter="", order_by="", page_size=2, page_token="")
HELD = assign("r1", GROUP)
OTHERS = tuple(f"{GROUP}/galleries/{name}" for name in "abc")
EVERYWHERE = GALLERIES.parse("subscriptions/-/resourceGroups/-/galleries/-", wildcards=True)
ONE_GROUP = GALLERIES.parse(f"{GROUP}/galleries/x").parent()


class Rows:
    """A reader of galleries whose rows are written at revisions of the policy."""

    def __init__(self, **revisions: int) -> None:
        self.rows = [
            Stored(f"{GROUP}/galleries/{name}", name.encode(), revision, (name,))
            for name, revision in sorted(revisions.items())
        ]
        self.queries: list[ListQuery] = []

    def page(self, query: ListQuery) -> Sequence[Stored]:
        self.queries.append(query)
        start = query.after[0] if query.after else ""
        rows = [row for row in self.rows if row.position[0] > start and _sees(query, row.key)]
        return rows[: query.limit]

    def get(self, key: str, view: str = "") -> Stored | None:
        raise AssertionError("a list gets nothing")

    def exists(self, key: str) -> bool:
        raise AssertionError("a list asks for its parent only")


def _sees(query: ListQuery, key: str) -> bool:
    visible = query.visible
    if visible is None:
        return True
    above = set(prefixes(key))
    return bool(above & set(visible.allowed)) and not above & set(visible.denied)


class Lists:
    """Calls of one list, one after the other."""

    def __init__(self, rows: Rows, *changes: Any, parent: Any = EVERYWHERE) -> None:
        self.system = System(role("*"), *changes)
        self.rows = rows
        self.parent = parent.parent() if parent is EVERYWHERE else parent
        self.dependencies: Any = SimpleNamespace(
            page_tokens=PageTokens(b"x" * 16), control=self.system.control
        )
        self.listing = reading.Listing(
            {"name": FieldKind.STRING},
            ("name",),
            lambda found, token: ([row.body.decode() for row in found], token),
            lambda parent: parent.key == GROUP,
            "stoa.dev/ResourceGroup",
        )

    def call(self, subject: str = "alice") -> Any:
        return SimpleNamespace(
            scope=self.parent,
            caller=Caller(subject, "t1"),
            access=self.system.begin(Kind.READ, Caller(subject, "t1")),
            policy=SimpleNamespace(path="/lists/List", action=GALLERY_READ),
            violations=Violations(),
            deadline=30.0,
        )

    def page(self, call: Any = None, **more: Any) -> tuple[list[str], str]:
        request = SimpleNamespace(**(vars(PAGE) | more))
        answer: tuple[list[str], str] = reading.page(
            self.dependencies, call or self.call(), self.rows, request, listing=self.listing
        )
        return answer


def test_a_page_goes_on_where_the_one_before_ended() -> None:
    lists = Lists(Rows(a=1, b=1, c=1), HELD)
    first, token = lists.page()
    assert (first, lists.page(page_token=token)) == (["a", "b"], (["c"], ""))
    assert [query.limit for query in lists.rows.queries] == [3, 3]


def test_who_sees_nothing_is_answered_without_a_statement() -> None:
    lists = Lists(Rows(a=1))
    assert lists.page() == ([], "")
    assert lists.rows.queries == []


@pytest.mark.parametrize("number", range(3))
def test_a_row_of_a_newer_policy_is_judged_by_that_policy_wherever_it_is(number: int) -> None:
    revisions = dict.fromkeys("abc", 1) | {"abc"[number]: 3}
    lists = Lists(Rows(**revisions), HELD)
    old = lists.call()
    lists.system.authz.write(deny(OTHERS[number], "tenants/t1/users/alice"))
    expected = [name for name in "abc" if revisions[name] == 1]
    assert lists.page(old, page_size=3) == (expected, "")
    lists.system.feed.deliver()
    assert lists.page(old, page_size=3) == (expected, "")


def test_rows_of_a_newer_policy_that_still_allows_them_are_shown() -> None:
    lists = Lists(Rows(a=1, b=3), HELD)
    old = lists.call()
    lists.system.authz.write(assign("r1", GALLERY, id="more"))
    assert lists.page(old) == (["a", "b"], "")


def test_a_later_page_is_never_decided_by_an_older_policy_than_the_one_before() -> None:
    lists = Lists(Rows(a=1, b=1, c=1), HELD)
    stale = lists.call()
    lists.system.authz.write(deny(OTHERS[1], "tenants/t1/users/alice"))
    lists.system.feed.deliver()
    first, token = lists.page(page_size=1)
    assert first == ["a"]
    assert lists.page(stale, page_token=token) == (["c"], "")


def test_what_is_taken_away_between_two_pages_is_not_shown_any_more() -> None:
    lists = Lists(Rows(a=1, b=1, c=1), HELD)
    _, token = lists.page()
    lists.system.authz.write(Removed(Entity.ROLE_ASSIGNMENT, HELD.name))
    lists.system.feed.deliver()
    assert lists.page(page_token=token) == ([], "")


def test_a_token_is_of_one_caller_and_one_question() -> None:
    lists = Lists(Rows(a=1, b=1, c=1), HELD, assign("r1", GROUP, "tenants/t1/users/bob"))
    _, token = lists.page()
    for more in ({"filter": "name = x"}, {"order_by": "name desc"}, {"show_deleted": True}):
        with pytest.raises(InvalidArgument, match="another list"):
            lists.page(page_token=token, **more)
    with pytest.raises(InvalidArgument, match="another list"):
        lists.page(lists.call("bob"), page_token=token)


def test_a_list_is_not_given_while_the_policy_is_too_old() -> None:
    lists = Lists(Rows(a=1), HELD)
    lists.system.clock.advance(5.0)
    with pytest.raises(Unavailable):
        lists.page()


@pytest.mark.parametrize("number", range(2))
def test_below_one_parent_every_row_is_judged_by_the_policy_it_was_written_under(
    number: int,
) -> None:
    revisions = dict.fromkeys("ab", 1) | {"ab"[number]: 3}
    lists = Lists(Rows(**revisions), HELD, parent=ONE_GROUP)
    old = lists.call()
    assert Lists(Rows(a=1, b=2), HELD, parent=ONE_GROUP).page() == (["a", "b"], "")
    lists.system.authz.write(Removed(Entity.ROLE_ASSIGNMENT, HELD.name))
    with pytest.raises(PermissionDenied):
        lists.page(old)


def test_an_empty_list_has_a_parent() -> None:
    assert Lists(Rows(), HELD, parent=ONE_GROUP).page() == ([], "")
    absent = replace(ONE_GROUP, key="subscriptions/s1/resourcegroups/absent")
    with pytest.raises(NotFound):
        Lists(Rows(), HELD, parent=absent).page()


def test_everything_wrong_with_a_list_is_told_at_once() -> None:
    lists = Lists(Rows(), HELD)
    with pytest.raises(InvalidArgument) as found:
        lists.page(filter="color = red", order_by="size", page_size=-1, page_token="x")
    told = {one.field: one.description for one in found.value.violations}
    assert set(told) == {"filter", "order_by", "page_size", "page_token"}
    assert "color" in told["filter"]
    assert "size" in told["order_by"]
