import random

from services.policy.holders import HoldersEditor
from services.policy.model import EVERYONE, Change, Removed, ScopeTombstone, Transaction
from services.policy.model import Kind as Entity
from tests.unit.policy import worlds
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    DEFINITION,
    GALLERY,
    GROUP,
    SUBSCRIPTION,
    VERSION,
    assign,
    deny,
    eligible,
    world,
)

SCOPES = ["/", worlds.PLATFORM, SUBSCRIPTION, GROUP, GALLERY, DEFINITION, VERSION]


def walk(node, found_held, found_denied):
    for one in node.held:
        found_held.setdefault(one.principal, set()).add(one.scope)
    for one in node.denies:
        for principal in one.assignment.principals:
            found_denied.setdefault(principal, set()).add(one.assignment.scope)
    for child in node.children.values():
        walk(child, found_held, found_denied)


def test_who_is_named_where_is_known_after_any_changes():
    for seed in range(40):
        chosen = random.Random(seed)
        index = world()
        names: list[tuple[Entity, str]] = []
        for revision in range(2, 40):
            scope, who = chosen.choice(SCOPES), chosen.choice([ALICE, BOB])
            kind = chosen.randrange(6)
            change: Change
            if kind == 0 and names:
                change = Removed(*names.pop(chosen.randrange(len(names))))
            elif kind == 1 and scope not in {"/", worlds.PLATFORM}:
                change = ScopeTombstone(scope, "uid", revision)
            elif kind == 2:
                change = deny(
                    worlds.TENANT if scope == "/" else scope,
                    chosen.choice([who, EVERYONE]),
                    id=f"d{chosen.randrange(3)}",
                    revision=revision,
                )
                names.append((Entity.DENY_ASSIGNMENT, change.name))
            elif kind == 3 and scope != "/":
                change = eligible("r1", scope, who, revision=revision)
                names.append((Entity.ELIGIBLE_ASSIGNMENT, change.name))
            else:
                number = chosen.randrange(3)
                change = assign("r1", scope, who, id=f"a{number}", revision=revision)
                names.append((Entity.ROLE_ASSIGNMENT, change.name))
            index = index.apply(Transaction(revision, (change,)))
            held: dict[str, set[str]] = {}
            denied: dict[str, set[str]] = {}
            walk(index.tree, held, denied)
            assert {who: tuple(sorted(scopes)) for who, scopes in held.items()} == dict(
                index.holders
            )
            assert {who: tuple(sorted(scopes)) for who, scopes in denied.items()} == dict(
                index.denied
            )


def test_many_changes_at_once_are_put_in_order():
    editor = HoldersEditor({})
    for number in reversed(range(20)):
        editor.change(f"s/{number:02}", (), ("a", "b"))
    first = editor.freeze()
    assert first["a"] == tuple(f"s/{number:02}" for number in range(20))
    editor = HoldersEditor(first)
    for number in range(20):
        editor.change(f"s/{number:02}", ("a",), ("b",) if number % 2 else ())
    assert dict(editor.freeze()) == {"b": first["b"]}
