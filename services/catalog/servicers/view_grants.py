"""Which galleries a consumer's subscription sees, by the policy at the moment of the call."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from services.catalog.convert.views import ViewType
from services.catalog.domain import names
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.reading import judge_anew
from services.kernel.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from services.kernel.names import WILDCARD, Name
from services.kernel.rpc.call import Call
from services.policy.access import LocalAccess
from services.policy.index import PolicyIndex
from services.policy.model import SharingGrant, Subscription

Covers = Callable[[SharingGrant, Subscription], bool]
Told = tuple[Any, int]
"""A message of a page, and the revision of the policy that its row was written under."""

_TYPES: Final = {
    ViewType.SHARED: "stoa.dev/SharedGallery",
    ViewType.COMMUNITY: "stoa.dev/CommunityGallery",
}


class ViewGrants:
    """The grants behind one kind of view."""

    def __init__(self, dependencies: Dependencies, view: ViewType) -> None:
        self._d: Final = dependencies
        self.view: Final = view
        self._variable: Final = "shared_gallery" if view is ViewType.SHARED else "community_gallery"

    def consumer(self, call: Call, name: Name) -> str:
        """Answer the subscription that asks, and demand the action there where a name has `-`.

        Raises:
            InvalidArgument: it is `-`.
            PermissionDenied: the action is not held.
        """
        subscription = name.ids["subscription"]
        if subscription == WILDCARD:
            raise InvalidArgument.of("parent", "the subscription that asks must be named")
        consumer = f"subscriptions/{subscription}"
        if name.has_wildcard:
            call.access.require(call.policy.action, consumer)
        return consumer

    def location(self, name: Name) -> str:
        """Answer the id of the region of a name, empty for all."""
        sent = name.ids["location"]
        if sent == WILDCARD:
            return ""
        found = self._d.regions.find([sent])[sent]
        # A region that is not there has no views: what is asked for in it is not found.
        return sent if found is None else found.id

    def one(self, call: Call, name: Name) -> SharingGrant:
        """Answer the grant behind the gallery of a name.

        Raises:
            NotFound: it does not exist, is not enabled or not shared with the subscription: one
                answer for all of these.
            ResourceExhausted: too many such galleries were tried.
        """
        # The region says nothing about who sees a gallery, and may be `-`.
        consumer, gallery = names.subscription_of(name.text), name.ids[self._variable]
        asked = f"{consumer}/locations/all/{self.view.value}/{gallery}"
        grant = self._index(call, decided=not name.has_wildcard).view_grant(asked)
        if grant is None and not isinstance(call.access, LocalAccess):
            # authz has allowed the view: it is there, and the copy of the policy here too old.
            raise _too_old()
        if name.has_wildcard:
            # Only the right to look for views was decided, and not this one.
            self._d.control.guessing(call.caller).found(there=grant is not None)
        if grant is None:
            raise self.missing(name)
        return grant

    def of(self, call: Call, name: Name, covers: Covers | None = None) -> Sequence[SharingGrant]:
        """Answer the grants that a name means: one, or all that cover the subscription."""
        if self.names_one(name):
            return [self.one(call, name)]
        index = self._index(call, decided=False)
        consumer = index.directory.subscriptions.get(names.subscription_of(name.key))
        if consumer is None:
            raise PermissionDenied.of(call.policy.action, name.text)
        shared = self.view is ViewType.SHARED
        found = (
            index.sharing.shared_with(consumer) if shared else index.sharing.communities(consumer)
        )
        return [one for one in found if covers is None or covers(one, consumer)]

    def names_one(self, name: Name) -> bool:
        """Whether a name names a gallery, and not all or none."""
        return name.ids.get(self._variable, WILDCARD) != WILDCARD

    def missing(self, name: Name) -> NotFound:
        """Build the error for what is not there, or not to be seen, which is the same."""
        below = ("image" in name.ids) + ("version" in name.ids)
        return NotFound.of(f"{_TYPES[self.view]}{('', 'Image', 'ImageVersion')[below]}", name.text)

    def judge_anew(self, call: Call, policy_revision: int, scope: str, *, action: str = "") -> None:
        """Judge what was published under a newer policy than the call's by that policy."""
        judge_anew(self._d, call, policy_revision, scope, action=action)

    def judged(self, call: Call, parent: Name, told: Sequence[Told]) -> Sequence[Any]:
        """Answer the messages of a page that the policy they were written under allows too.

        Raises:
            NotFound: they are of one gallery, which that policy does not show any more.
        """
        access: Any = call.access
        revision = access.revision
        newest = max((written for _, written in told), default=0)
        if newest <= revision:
            return [message for message, _ in told]
        if self.names_one(parent) and not parent.has_wildcard:
            self.judge_anew(call, newest, parent.text)
            return [message for message, _ in told]
        newer = self._d.control.at_least(access, call.caller, newest, call.deadline)
        action = call.policy.action
        return [
            message
            for message, written in told
            if written <= revision or newer.allowed(action, _name(message))
        ]

    def _index(self, call: Call, *, decided: bool) -> PolicyIndex:
        """Answer the policy that the call is decided by.

        `decided` says that authz itself has allowed the very view that is looked up.
        """
        if isinstance(call.access, LocalAccess):
            return call.access.index
        if decided:
            return self._d.control.index
        raise _too_old()


def _name(message: Any) -> str:
    """Answer the name of what a message shows; a match of a search shows an image."""
    return str(message.name if hasattr(message, "name") else message.image.name)


def _too_old() -> Unavailable:
    return Unavailable(
        "the copy of the policy here is too old to tell what is shared",
        metadata={"service": "authz"},
        retry_after=1.0,
    )
