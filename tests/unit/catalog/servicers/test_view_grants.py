"""Views of what was written under a newer policy than that of the call which reads it."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.catalog.convert.views import ViewType
from services.catalog.domain.names import COMMUNITY_DEFINITIONS
from services.catalog.servicers.view_grants import ViewGrants
from services.kernel.errors import NotFound
from services.kernel.rpc.access import Caller, Kind
from services.policy.model import Kind as Entity
from services.policy.model import Removed, SharingMode
from tests.unit.policy.feeds import System
from tests.unit.policy.worlds import CONSUMER, GALLERY, assign, grant, role

OTHER = f"{GALLERY}2"
ACTION = "Microsoft.Compute/locations/communityGalleries/images/read"
OPEN = {"community_enabled": True}


class Views:
    """Two community galleries, and a call that began before one of them was closed."""

    def __init__(self, parent: str) -> None:
        community = SharingMode.COMMUNITY
        self.system = System(
            role("*"),
            assign("r1", CONSUMER),
            grant(community, GALLERY, public_name="one", shared_id="1", **OPEN),
            grant(community, OTHER, public_name="two", shared_id="2", **OPEN),
        )
        text = f"{CONSUMER}/locations/eastus/communityGalleries/{parent}/images/x"
        self.parent = COMMUNITY_DEFINITIONS.parse(text, wildcards=True).parent()
        self.call: Any = SimpleNamespace(
            caller=Caller("alice", "t1"),
            access=self.system.begin(Kind.READ),
            policy=SimpleNamespace(action=ACTION),
            deadline=30.0,
        )
        dependencies: Any = SimpleNamespace(control=self.system.control)
        self.grants = ViewGrants(dependencies, ViewType.COMMUNITY)
        self.system.authz.write(Removed(Entity.SHARING_GRANT, GALLERY))

    def judged(self, *told: tuple[str, int]) -> list[str]:
        pairs = [(_image(gallery), revision) for gallery, revision in told]
        found = self.grants.judged(self.call, self.parent, pairs)
        return [message.name.split("/")[5] for message in found]


def _image(gallery: str) -> Any:
    name = f"{CONSUMER}/locations/eastus/communityGalleries/{gallery}/images/i"
    return SimpleNamespace(name=name)


@pytest.mark.parametrize("delivered", [False, True])
def test_of_many_galleries_the_rows_are_judged_one_by_one(delivered: bool) -> None:
    views = Views("-")
    if delivered:
        views.system.feed.deliver()
    assert views.judged(("one", 2), ("two", 2)) == ["one", "two"]
    assert views.judged(("one", 2), ("one", 3), ("two", 3)) == ["one", "two"]


def test_of_one_gallery_the_page_is_judged_whole() -> None:
    views = Views("one")
    assert views.judged(("one", 2)) == ["one"]
    with pytest.raises(NotFound):
        views.judged(("one", 2), ("one", 3))
