"""The catalog's lists with `-` hold what Check allows, all of it, in random worlds."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import pytest
from stoa.authz.v1 import check_pb2, consistency_pb2, decision_pb2
from stoa.catalog.v1 import gallery_service_pb2 as galleries_pb
from stoa.catalog.v1 import image_definition_service_pb2 as definitions_pb
from stoa.catalog.v1 import image_version_requests_pb2 as versions_pb
from stoa.catalog.v1 import resource_group_service_pb2 as groups_pb

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import Catalog, Stubs, World
from tests.wire.catalog.readable_worlds import Place, Story

WORLDS: Final = 8
#: So many changes of each world, with a comparison after each.
CHANGES: Final = 4
FRESH: Final = consistency_pb2.Consistency(fully_consistent=True)

Page = tuple[list[str], str]


class Kind(NamedTuple):
    """Something that is listed: by which action it is read, and by what call a page is had."""

    action: str
    page: Callable[[Stubs, dict[str, Any]], Page]


def names(found: Sequence[Any], answer: Any) -> Page:
    return [one.name for one in found], answer.next_page_token


def page_of_groups(stubs: Stubs, fields: dict[str, Any]) -> Page:
    answer = stubs.groups.ListResourceGroups(groups_pb.ListResourceGroupsRequest(**fields))
    return names(answer.resource_groups, answer)


def page_of_galleries(stubs: Stubs, fields: dict[str, Any]) -> Page:
    answer = stubs.galleries.ListGalleries(galleries_pb.ListGalleriesRequest(**fields))
    return names(answer.galleries, answer)


def page_of_definitions(stubs: Stubs, fields: dict[str, Any]) -> Page:
    request = definitions_pb.ListImageDefinitionsRequest(**fields)
    answer = stubs.definitions.ListImageDefinitions(request)
    return names(answer.image_definitions, answer)


def page_of_versions(stubs: Stubs, fields: dict[str, Any]) -> Page:
    answer = stubs.versions.ListImageVersions(versions_pb.ListImageVersionsRequest(**fields))
    return names(answer.image_versions, answer)


GROUP: Final = Kind("Microsoft.Resources/subscriptions/resourceGroups/read", page_of_groups)
GALLERY: Final = Kind("Microsoft.Compute/galleries/read", page_of_galleries)
DEFINITION: Final = Kind("Microsoft.Compute/galleries/images/read", page_of_definitions)
VERSION: Final = Kind("Microsoft.Compute/galleries/images/versions/read", page_of_versions)


@pytest.fixture(scope="module")
def place(catalog: Catalog) -> Place:
    return Place(World(catalog), Policy(catalog.authz))


def allowed(policy: Policy, subject: str, action: str, resources: Sequence[str]) -> set[str]:
    """Those that Check lets them read."""
    items = [decision_pb2.CheckItem(action=action, resource=name) for name in resources]
    request = check_pb2.BatchCheckRequest(items=items, consistency=FRESH)
    results = policy.installation.user(subject).questions.BatchCheck(request).results
    return {name for name, one in zip(resources, results, strict=True) if one.decision.allowed}


def listed(stubs: Stubs, kind: Kind, parent: str, size: int) -> list[str]:
    """All pages of a list."""
    found: list[str] = []
    token = ""
    while True:
        more, token = kind.page(stubs, {"parent": parent, "page_size": size, "page_token": token})
        found += more
        if not token:
            return found


def parents(name: str) -> list[str]:
    """The parents of a list that a resource could be in, with `-` in more and more places."""
    steps = name.split("/")[:-2]
    ids = range(len(steps) - 1, 0, -2)
    return ["/".join([*steps[:at], *anywhere(steps[at:])]) for at in ids]


def anywhere(steps: Sequence[str]) -> list[str]:
    """Steps of a name that begin with an id, each id being a `-`."""
    return ["-" if position % 2 == 0 else step for position, step in enumerate(steps)]


def holds(parent: str, name: str) -> bool:
    steps = name.split("/")[:-2]
    return all(wanted in ("-", step) for wanted, step in zip(parent.split("/"), steps, strict=True))


def test_the_parents_of_a_list_have_wildcards_from_the_last_id_to_the_first() -> None:
    assert parents("subscriptions/s/resourceGroups/r/galleries/g") == [
        "subscriptions/s/resourceGroups/-",
        "subscriptions/-/resourceGroups/-",
    ]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(WORLDS))
def test_lists_with_wildcards_hold_what_check_allows_and_nothing_else(
    world: World, policy: Policy, place: Place, seed: int
) -> None:
    story = Story(seed, place, policy)
    kinds = (
        (GROUP, place.groups),
        (GALLERY, place.galleries),
        (DEFINITION, place.definitions),
        (VERSION, place.versions),
    )
    answers = {True: 0, False: 0}
    for step in range(CHANGES + 1):
        if step:
            story.go_on()
        world.catalog.catch_up()
        stubs = world.catalog.user(story.subject)
        for kind, resources in kinds:
            seen = allowed(policy, story.subject, kind.action, resources)
            answers[True] += len(seen)
            answers[False] += len(resources) - len(seen)
            for parent in parents(story.random.choice(resources)):
                size = story.random.randint(1, 20)
                found = listed(stubs, kind, parent, size)
                expected = sorted(name for name in seen if holds(parent, name))
                assert sorted(found) == expected, (step, parent, size)
    # Worlds in which all is alike would show nothing.
    assert min(answers.values()) > 0
