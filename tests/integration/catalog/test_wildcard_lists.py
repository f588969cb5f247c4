"""What a list with `-` shows is what the policy allows, row by row (authorization.md, case 91)."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.catalog.domain.definition import Definition, Identifier
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.hardware import OsState, OsType
from services.catalog.domain.names import DEFINITIONS, GALLERIES, RESOURCE_GROUPS, VERSIONS
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.domain.version import TargetRegion, Version
from services.catalog.ports.reading import ListQuery, Reader, Visible, above_wildcards
from services.catalog.store import tables
from services.catalog.store.reading import StoreReaders
from services.catalog.store.schema import MIGRATIONS
from services.catalog.store.transaction import Stores, Transaction
from services.kernel.clock import FakeClock
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Outbox
from services.kernel.filter import Order
from services.kernel.ids import new_uid
from services.kernel.names import Name, Pattern, key
from services.kernel.rpc.access import Caller
from services.policy.access import LocalAccess
from services.policy.callers import Callers
from services.policy.index import PolicyIndex
from services.policy.model import EVERYONE, Change
from tests.unit.policy import worlds
from tests.unit.policy.worlds import ALICE, assign, deny, member, role, world

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SUBSCRIPTIONS = ("subscriptions/s1", "subscriptions/s2", "subscriptions/s3")
COMPUTE = "Microsoft.Compute"
ABOVE = ["/", worlds.TENANT, worlds.ROOT_GROUP, worlds.PLATFORM, worlds.IMAGES]
CALLERS = (
    Caller("alice", "t1"),
    Caller("bob", "t1"),
    Caller("alice", "t1", auxiliary=(Caller("carol", "t2"),)),
)
# No id of another: one is the beginning of the other, and sorts before what lies in it.
IDS = ("A", "a-b")


class Tree:
    """Resources of every kind, at every depth, in one database."""

    def __init__(self, db: Database) -> None:
        clock = FakeClock(NOW)
        self.db = db
        self.readers = StoreReaders.of(db)
        self._random = random.Random(0)
        self._stores = Stores(
            OperationStore(db, tables.operations, clock), Outbox(tables.outbox, clock), clock
        )
        self.keys: dict[str, list[str]] = {"groups": [], "galleries": []}
        self.keys |= {"definitions": [], "versions": []}
        self.run(self._fill)

    def run(self, work: Callable[[Transaction], Any]) -> Any:
        return self.db.transact(lambda connection: work(self._stores.bind(connection)))

    def _fill(self, tx: Transaction) -> None:
        for subscription in SUBSCRIPTIONS:
            for name in IDS:
                group = f"{subscription}/resourceGroups/{name}"
                tx.groups.insert(ResourceGroup(**self._common("groups", group)))
                for gallery in (f"{group}/galleries/{name}1", f"{group}/galleries/{name}.2"):
                    shared = Gallery(**self._common("galleries", gallery), shared_id=new_uid())
                    tx.galleries.insert(shared)
                    for image in IDS:
                        self._publish(tx, f"{gallery}/images/{image}")

    def _publish(self, tx: Transaction, name: str) -> None:
        definition = Definition(
            **self._common("definitions", name),
            os_type=OsType.LINUX,
            os_state=OsState.GENERALIZED,
            identifier=Identifier("P", "O", name.rpartition("/")[2]),
        )
        tx.definitions.insert(definition)
        for number in ((1, 0, 9), (1, 0, 10), (2, 0, 0)):
            text = ".".join(map(str, number))
            version = Version(
                **self._common("versions", f"{name}/versions/{text}"),
                number=number,
                tenant="tenants/t1",
                source=None,
                disks=(SourceDisk("os", ByteSource(SourceKind.BLOB, "b", "u"), 5),),
                target_regions=(TargetRegion("eastus"),),
                publish_time=NOW + timedelta(minutes=self._random.randrange(9)),
            )
            tx.versions.insert(version)

    def _common(self, kind: str, name: str) -> dict[str, Any]:
        self.keys[kind].append(key(name))
        return {
            "name": name,
            "uid": new_uid(),
            "location": self._random.choice(("eastus", "westus")),
            "create_time": NOW + timedelta(minutes=self._random.randrange(9)),
            "update_time": NOW,
        }


@pytest.fixture
def tree(database_url: str, open_database: Callable[..., Database]) -> Tree:
    migrate(database_url, MIGRATIONS)
    return Tree(open_database(database_url))


class Kind:
    """One kind of list: its reader, its action, and the pattern of its parents."""

    def __init__(self, tree: Tree, name: str, action: str, *, pattern: Pattern) -> None:
        self.reader: Reader = getattr(tree.readers, name)
        self.keys = tree.keys[name]
        self.action = action
        self.pattern = pattern

    def parent(self, chosen: random.Random) -> Name:
        """A parent with at least one `-`."""
        some = chosen.choice(self.keys).split("/")
        ids = [one if chosen.random() < 0.3 else "-" for one in some[1:-2:2]]
        if "-" not in ids:
            ids[chosen.randrange(len(ids))] = "-"
        text = "/".join(f"{kind}/{one}" for kind, one in zip(some[:-2:2], ids, strict=True))
        return self.pattern.parse(f"{text}/{some[-2]}/-", wildcards=True).parent()


def kinds(tree: Tree) -> Sequence[Kind]:
    groups = "Microsoft.Resources/subscriptions/resourceGroups/read"
    return (
        Kind(tree, "groups", groups, pattern=RESOURCE_GROUPS),
        Kind(tree, "galleries", f"{COMPUTE}/galleries/read", pattern=GALLERIES),
        Kind(tree, "definitions", f"{COMPUTE}/galleries/images/read", pattern=DEFINITIONS),
        Kind(tree, "versions", f"{COMPUTE}/galleries/images/versions/read", pattern=VERSIONS),
    )


def policy(chosen: random.Random, keys: Sequence[str]) -> PolicyIndex:
    """Grants and denies at scopes of all depths, to people and to groups in groups."""
    patterns = ("*/read", "*", f"{COMPUTE}/galleries/read", "*/versions/read", "*/images/*")
    people = [ALICE, worlds.BOB, worlds.user("carol", "tenants/t2")]
    people += [worlds.group("g0"), worlds.group("g1")]

    def scope() -> str:
        return chosen.choice(ABOVE if chosen.random() < 0.2 else [*SUBSCRIPTIONS, *keys])

    changes: list[Change] = [
        *(role(chosen.choice(patterns), id=f"r{number}") for number in range(3)),
        member(worlds.group("g0"), ALICE),
        member(worlds.group("g1"), worlds.group("g0")),
        *(
            assign(f"r{chosen.randrange(3)}", scope(), chosen.choice(people), id=f"a{number}")
            for number in range(chosen.choice((1, 3, 30)))
        ),
        *(
            deny(
                scope().removesuffix("/") or worlds.TENANT,
                chosen.choice([*people, EVERYONE]),
                id=f"d{number}",
                actions=(chosen.choice(("*", "*/read", "*/versions/*")),),
                exclude_principals=frozenset(chosen.sample(people, 1)),
                do_not_apply_to_child_scopes=chosen.random() < 0.4,
            )
            for number in range(chosen.choice((0, 2, 20)))
        ),
    ]
    return world(*changes)


def pages(
    tree: Tree, kind: Kind, access: LocalAccess, parent: Name, *, limit: int, order: Any
) -> Iterator[str]:
    """The keys that a list shows, page by page, each by at most one statement."""
    found = access.accessible(kind.action, above_wildcards(parent))
    visible = Visible(found.allowed, found.denied, found.denied_here)
    after = None
    while True:
        query = ListQuery(parent, limit, visible=visible, order=order, after=after)
        with tree.db.statements() as statements:
            rows = kind.reader.page(query)
        assert len(statements) <= 1
        yield from (row.key for row in rows)
        if len(rows) < limit:
            return
        after = rows[-1].position


def lies_below(key: str, parent: Name) -> bool:
    wanted = parent.key.split("/")
    return all(a in {"-", b} for a, b in zip(wanted, key.split("/"), strict=False))


def test_a_list_shows_exactly_what_a_question_about_each_row_allows(tree: Tree) -> None:
    everything = [one for keys in tree.keys.values() for one in keys]
    sizes = set()
    for seed in range(120):
        chosen = random.Random(seed)
        index = policy(chosen, everything)
        caller = chosen.choice(CALLERS)
        identities = Callers().identities(caller, index.directory)
        access = LocalAccess(index, identities, now=worlds.NOW)
        for kind in kinds(tree):
            parent = kind.parent(chosen)
            fields = ("", "name", "name", "create_time", "location")
            field = chosen.choice((*fields, "publish_time") if kind.pattern is VERSIONS else fields)
            order = (Order(field, chosen.random() < 0.5),) if field else ()
            limit = chosen.choice((1, 2, 7, 100))
            shown = list(pages(tree, kind, access, parent, limit=limit, order=order))
            expected = {
                one
                for one in kind.keys
                if lies_below(one, parent) and access.allowed(kind.action, one)
            }
            assert len(shown) == len(set(shown)), (seed, parent)
            assert set(shown) == expected, (seed, caller, parent, order)
            sizes.add(len(expected))
    assert len(sizes) > 12


@pytest.mark.parametrize("descending", [False, True])
def test_versions_of_all_definitions_are_in_the_order_of_numbers(
    tree: Tree, descending: bool
) -> None:
    index = world(role("*"), assign("r1", "/"))
    access = LocalAccess(index, Callers().identities(CALLERS[0], index.directory), now=worlds.NOW)
    versions = kinds(tree)[-1]
    parent = VERSIONS.parse(
        "subscriptions/-/resourceGroups/-/galleries/-/images/-/versions/-", wildcards=True
    ).parent()
    order = (Order("name", descending),)
    shown = list(pages(tree, versions, access, parent, limit=5, order=order))

    def by_number(one: str) -> tuple[str, list[int]]:
        above, _, number = one.rpartition("/")
        return above, [int(part) for part in number.split(".")]

    assert shown == sorted(tree.keys["versions"], key=by_number, reverse=descending)


def test_thousands_of_scopes_are_one_statement(tree: Tree) -> None:
    scopes = [f"subscriptions/s0/resourcegroups/g{number}" for number in range(5000)]
    scopes.append(tree.keys["galleries"][5])
    query = ListQuery(
        GALLERIES.parse("subscriptions/-/resourceGroups/-/galleries/-", wildcards=True).parent(),
        10,
        visible=Visible(sorted(scopes)),
    )
    with tree.db.statements() as statements:
        rows = tree.readers.galleries.page(query)
    assert [row.key for row in rows] == [tree.keys["galleries"][5]]
    assert len(statements) == 1
