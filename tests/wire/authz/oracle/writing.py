"""Writes records through the methods of a real service, and into a world of the oracle.

What is written is kept here as it was sent, never as the service tells it; so what the service
makes of it is seen.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from tests.unit.policy.oracle.worlds import World
from tests.wire.authz.installation import Installation

ME: Final = "tenants/default/users/owner"
#: What a random write may be refused with; anything else is a failure of the test.
REFUSED: Final = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}
SPELLED: Final = {
    one.lower(): one
    for one in (
        "managementGroups",
        "servicePrincipals",
        "resourceGroups",
        "storageAccounts",
        "sharedGalleries",
        "communityGalleries",
        "roleAssignments",
        "denyAssignments",
        "eligibleAssignments",
    )
}


class Writer:
    """What all that write have in common: as whom, into which world, and what came of it."""

    def __init__(self, installation: Installation, random: Random) -> None:
        self.world = World()
        self.random = random
        self.installation = installation
        self.owner = installation.user()
        self.catalog = installation.service("catalog")
        self.refused: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()

    def attempt(self, what: str, call: Callable[[], Any]) -> Any:
        """Answer what the call answers; None where it is refused, as a random one may be."""
        try:
            done = call()
        except grpc.RpcError as error:
            found: Any = error
            assert found.code() in REFUSED, (what, found)
            self.refused[f"{what} {found.code().name}"] += 1
            return None
        self.taken[what] += 1
        return done

    def sent(self, scope: str) -> str:
        """The name as somebody might write it."""
        segments = spelled(scope).split("/")
        if len(segments) > 3 and segments[0] == "subscriptions":
            for at in range(3, len(segments), 2):
                segments[at] = self.random.choice((segments[at], segments[at].upper()))
        return "/".join(segments)


def spelled(key: str) -> str:
    """A key with its collections as the contract writes them."""
    return "/".join(SPELLED.get(one, one) for one in key.split("/"))


def last(name: str) -> str:
    """The id of what a name names."""
    return name.rpartition("/")[2]


def timestamp(at: datetime | None) -> Timestamp | None:
    """A moment on the wire."""
    if at is None:
        return None
    found = Timestamp()
    found.FromDatetime(at)
    return found
