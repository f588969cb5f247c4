"""What publishers have opened to others, found from the consumer's side.

Sharing has two sides (authorization.md 1.4): the consumer needs the view's action in
their own subscription, and the publisher's grant has to cover that subscription. Here
is the second side.
"""

import enum
from collections.abc import Iterator, Mapping
from typing import Final, assert_never

from services.policy.model import SharingGrant, SharingMode, Subscription
from services.policy.persistent_map import MapEditor
from services.policy.scopes import Scope, View, ViewKind

NO_GALLERIES: Final[frozenset[str]] = frozenset()


class Coverage(enum.Enum):
    """By what a grant covers a consumer's subscription."""

    SUBSCRIPTION = "subscription"
    TENANT = "tenant"
    COMMUNITY = "community"


def coverage(grant: SharingGrant, consumer: Subscription) -> Coverage | None:
    """Say by what `grant` covers `consumer`, None where it does not.

    A blocked subscription or tenant is covered by nothing.
    """
    if consumer.key in grant.blocked or consumer.tenant in grant.blocked:
        return None
    match grant.mode:
        case SharingMode.PRIVATE:
            return None
        case SharingMode.GROUPS:
            if consumer.key in grant.subscriptions:
                return Coverage.SUBSCRIPTION
            return Coverage.TENANT if consumer.tenant in grant.tenants else None
        case SharingMode.COMMUNITY:
            return Coverage.COMMUNITY if grant.community_enabled else None
        case _:
            assert_never(grant.mode)


class SharingIndex:
    """All grants: by gallery, by the ids that consumers use, and by consumer."""

    __slots__ = ("by_alias", "by_consumer", "by_gallery", "by_public_name", "by_shared_id")

    def __init__(
        self,
        by_gallery: Mapping[str, SharingGrant],
        by_shared_id: Mapping[str, frozenset[str]],
        by_public_name: Mapping[str, frozenset[str]],
        *,
        by_alias: Mapping[str, frozenset[str]],
        by_consumer: Mapping[str, frozenset[str]],
    ) -> None:
        self.by_gallery = by_gallery
        self.by_shared_id = by_shared_id
        self.by_public_name = by_public_name
        self.by_alias = by_alias
        self.by_consumer = by_consumer

    def of_gallery(self, gallery: str) -> SharingGrant | None:
        """Answer the grant of the gallery with this key."""
        return self.by_gallery.get(gallery)

    def resolve(self, view: View, consumer: Subscription) -> tuple[SharingGrant, Coverage] | None:
        """Answer the one grant that `view` names and that covers `consumer`.

        A shared gallery is named by its shared id or by Azure's form
        `{subscription}-{GALLERYNAME}`. Where two covering grants answer to a name,
        there is no answer: a first match would be somebody's guess (threat T23).
        """
        match view.kind:
            case ViewKind.SHARED:
                named = self.by_shared_id.get(view.id) or self.by_alias.get(view.id)
                mode = SharingMode.GROUPS
            case ViewKind.COMMUNITY:
                named = self.by_public_name.get(view.id)
                mode = SharingMode.COMMUNITY
            case _:
                assert_never(view.kind)
        found = [
            (grant, by)
            for grant in map(self.by_gallery.get, named or ())
            if grant is not None
            and grant.mode is mode
            and (by := coverage(grant, consumer)) is not None
        ]
        return found[0] if len(found) == 1 else None

    def shared_with(self, consumer: Subscription) -> tuple[SharingGrant, ...]:
        """Answer the direct shares that cover `consumer`, by shared id."""
        galleries = (self.by_consumer.get(consumer.key) or NO_GALLERIES) | (
            self.by_consumer.get(consumer.tenant) or NO_GALLERIES
        )
        grants = (self.by_gallery.get(gallery) for gallery in galleries)
        covering = [
            grant for grant in grants if grant is not None and coverage(grant, consumer) is not None
        ]
        return tuple(sorted(covering, key=lambda grant: grant.shared_id))

    def communities(self, consumer: Subscription) -> tuple[SharingGrant, ...]:
        """Answer the community galleries open to `consumer`, by public name."""
        found = (
            grant
            for galleries in self.by_public_name.values()
            for grant in map(self.by_gallery.get, galleries)
            if grant is not None and coverage(grant, consumer) is Coverage.COMMUNITY
        )
        return tuple(sorted(found, key=lambda grant: grant.public_name))


class SharingEditor:
    """A successor of the sharing index in the making."""

    def __init__(self, base: SharingIndex) -> None:
        self._by_gallery = MapEditor(base.by_gallery)
        self._by_shared_id = MapEditor(base.by_shared_id)
        self._by_public_name = MapEditor(base.by_public_name)
        self._by_alias = MapEditor(base.by_alias)
        self._by_consumer = MapEditor(base.by_consumer)

    def put(self, grant: SharingGrant) -> None:
        """Replace whatever the gallery had opened before."""
        self.remove(grant.gallery)
        self._by_gallery.set(grant.gallery, grant)
        for editor, name in self._names(grant):
            editor.set(name, (editor.get(name) or NO_GALLERIES) | {grant.gallery})

    def remove(self, gallery: str) -> None:
        """Close the gallery with this key to everybody."""
        grant = self._by_gallery.pop(gallery)
        if grant is None:
            return
        for editor, name in self._names(grant):
            left = (editor.get(name) or NO_GALLERIES) - {gallery}
            if left:
                editor.set(name, left)
            else:
                editor.pop(name)

    def freeze(self) -> SharingIndex:
        """Answer the successor."""
        return SharingIndex(
            self._by_gallery.freeze(),
            self._by_shared_id.freeze(),
            self._by_public_name.freeze(),
            by_alias=self._by_alias.freeze(),
            by_consumer=self._by_consumer.freeze(),
        )

    def _names(self, grant: SharingGrant) -> Iterator[tuple[MapEditor[frozenset[str]], str]]:
        if grant.shared_id:
            yield self._by_shared_id, grant.shared_id
        if grant.public_name:
            yield self._by_public_name, grant.public_name
        if alias := alias_of(grant.gallery):
            yield self._by_alias, alias
        for consumer in grant.subscriptions | grant.tenants:
            yield self._by_consumer, consumer


def alias_of(gallery: str) -> str | None:
    """Answer the folded `{subscription}-{GALLERYNAME}` that the original names a share by."""
    scope = Scope.parse(gallery)
    if scope.subscription is None:
        return None
    return f"{_id(scope.subscription)}-{_id(scope.steps[-1])}"


def _id(step: str) -> str:
    return step.rpartition("/")[2]


NOTHING_SHARED: Final = SharingIndex(
    {}, {}, {}, by_alias={},
    by_consumer={},
)  # fmt: skip
