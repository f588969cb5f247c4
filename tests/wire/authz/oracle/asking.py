"""What the service and the replica that follows it answer about a world."""

from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf.struct_pb2 import Struct
from stoa.authz.v1 import access_pb2, check_pb2, consistency_pb2, decision_pb2
from stoa.authz.v1 import policy_feed_service_pb2 as feed_pb

from services.policy.consistency import LogPosition
from services.policy.index import PolicyIndex
from services.policy.model import Plane
from services.policy.runtime import PolicyRuntime
from tests.unit.policy.oracle.conditions import MAKE_ELIGIBLE, PREFIX
from tests.unit.policy.oracle.generation import all_scopes
from tests.unit.policy.oracle.questions import Asked, Asker
from tests.wire.authz.installation import Installation
from tests.wire.authz.oracle.story import Story
from tests.wire.authz.oracle.writing import ME, spelled

#: Scopes with what each does to what is accessible.
Entries = list[tuple[str, int]]
FRESH = consistency_pb2.Consistency(fully_consistent=True)


class Asking:
    """Asks about the world of a story, as the catalog may."""

    def __init__(self, story: Story, installation: Installation, runtime: PolicyRuntime) -> None:
        self.story = story
        self._runtime = runtime
        self._service = installation.service("catalog").questions
        self._feed = installation.feed("catalog")

    def questions(self, count: int) -> list[Asked]:
        """Questions about this moment."""
        world, random, now = self.story.world, self.story.random, datetime.now(UTC)
        asking = Asker(random, world, all_scopes(world), [now], planes=[Plane.CONTROL])
        found = [replace(asking.ask(), now=now) for _ in range(count)]
        return [_in_context(one) for one in found if one.caller != ME]

    def local(self) -> PolicyIndex:
        """The replica's root, once it has all that was written."""
        head = self._feed.GetHead(feed_pb.GetHeadRequest())
        found = self._runtime.replica.wait_until(LogPosition(head.epoch, head.revision), 20)
        assert found is not None
        return found

    def remote(self, asked: list[Asked]) -> list[decision_pb2.Decision]:
        """What the service answers, at its newest revision."""
        answer = self._service.BatchCheck(
            check_pb2.BatchCheckRequest(items=[item(one) for one in asked], consistency=FRESH)
        )
        return [one.decision for one in answer.results]

    def accessible(self, caller: str, action: str) -> Entries:
        """All pages of ListAccessible."""
        request = access_pb2.ListAccessibleRequest(
            subject=subject(caller), action=action, consistency=FRESH, page_size=3
        )
        found: Entries = []
        while True:
            page = self._service.ListAccessible(request)
            found += [(one.scope.lower(), one.effect) for one in page.accessible_scopes]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def subjects(self, resource: str, action: str) -> set[str]:
        """Everybody of ListSubjects who is no group."""
        request = access_pb2.ListSubjectsRequest(
            resource=spelled(resource),
            action=action,
            consistency=FRESH,
            page_size=3,
            expand_groups=True,
        )
        found: set[str] = set()
        while True:
            page = self._service.ListSubjects(request)
            found |= {one.principal.lower() for one in page.subject_accesses}
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


def _in_context(asked: Asked) -> Asked:
    """A context is about what is requested, or about the assignment that goes (ADR 0014)."""
    told = {name: value for _, name, value in asked.attributes}
    sources = ["Resource" if asked.action.lower().endswith("/delete") else "Request"]
    if asked.action == MAKE_ELIGIBLE:
        sources = ["Request", "Resource"]
    known = tuple((source, name, value) for source in sources for name, value in told.items())
    return replace(asked, attributes=known)


def subject(caller: str) -> decision_pb2.Subject:
    tenant, name = "/".join(caller.split("/")[:2]), caller.rpartition("/")[2]
    return decision_pb2.Subject(tenant=tenant, principal_id=name)


def item(asked: Asked) -> decision_pb2.CheckItem:
    context = Struct()
    context.update({f"{PREFIX}:{name}": value for _, name, value in asked.attributes})
    return decision_pb2.CheckItem(
        subject=subject(asked.caller),
        action=asked.sent_action,
        resource=asked.sent_scope,
        context=context,
    )
