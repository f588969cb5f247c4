"""Views of galleries, the same for both kinds; `SharedGalleryService` is made of it.

What a name means is resolved by the grants of the policy at the moment of the call, and what is
there by the catalog's own rows; nothing is kept in between, so that what is taken back is gone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from services.catalog.convert import views as convert
from services.catalog.convert.views import ViewType
from services.catalog.ports.views import (
    DefinitionView,
    GalleryView,
    Sought,
    VersionView,
    ViewQuery,
)
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.mutations import scope_of
from services.catalog.servicers.view_filters import (
    COMMUNITY_FIELDS,
    GALLERY_FIELDS,
    IMAGE_FIELDS,
    VERSION_FIELDS,
    fits,
    is_stated,
    matches,
    sought,
)
from services.catalog.servicers.view_grants import Covers, Told, ViewGrants
from services.catalog.servicers.view_pages import Page, read_page
from services.catalog.usecases import checks
from services.catalog.usecases.version_delete import missing
from services.kernel.errors import NotFound
from services.kernel.names import WILDCARD, Name, fold, key, parse_version
from services.kernel.rpc.call import Call

IMAGE_ORDERS: Final = (
    "name",
    "identifier.publisher",
    "identifier.offer",
    "identifier.sku",
    "end_of_life_time",
)
VERSION_ORDERS: Final = ("name", "publish_time", "end_of_life_time")
GALLERY_ORDERS: Final = ("name", "location")
_PAGE_BYTES: Final = 1024 * 1024
# How many rows a list with conditions looks at for one page.
_LOOKED_AT: Final = 1000

Fits = Callable[[Any], bool]
Answer = tuple[Sequence[Any], str]
View = TypeVar("View", GalleryView, DefinitionView, VersionView)


class Views:
    """Galleries, definitions and versions as one kind of view shows them."""

    def __init__(self, dependencies: Dependencies, view: ViewType) -> None:
        self._d: Final = dependencies
        self.view: Final = view
        self.grants: Final = ViewGrants(dependencies, view)

    def gallery(self, call: Call) -> Any:
        """Answer one gallery.

        Raises:
            NotFound: it cannot be seen, or nothing of it can be used in the region.
        """
        name = scope_of(call)
        call.violations.raise_if_any()
        found = self._d.readers.views.galleries(self._query(call, name, limit=1))
        if not found:
            raise self.grants.missing(name)
        self.grants.judge_anew(call, found[0].policy_revision, name.text)
        return self._encoded(found[0], self.grants.consumer(call, name))

    def galleries(self, request: Any, call: Call, covers: Covers | None, extra: str = "") -> Answer:
        """Answer a page of galleries."""
        parent = scope_of(call)
        fields = GALLERY_FIELDS if self.view is ViewType.SHARED else COMMUNITY_FIELDS
        page = read_page(
            self._d.page_tokens, request, call, fields, orders=GALLERY_ORDERS, extra=extra
        )
        consumer = self.grants.consumer(call, parent)
        location = self._known_region(call, parent)
        return self._page(
            call,
            page,
            self._d.readers.views.galleries,
            lambda row: self._encoded(row, consumer),
            fit=lambda message: fits(message, page.comparisons),
            limit=_LOOKED_AT if page.comparisons else page.size + 1,
            query=self._query(call, parent, location=location, covers=covers),
        )

    def image(self, call: Call) -> Any:
        """Answer one definition.

        Raises:
            NotFound: it cannot be seen, or nothing of it can be used in the region.
        """
        name = scope_of(call)
        call.violations.raise_if_any()
        found = self._d.readers.views.definitions(self._query(call, name, limit=1))
        if not found:
            raise self.grants.missing(name)
        self.grants.judge_anew(call, found[0].policy_revision, name.text)
        return convert.encode_image(self.view, found[0], self.grants.consumer(call, name))

    def images(self, request: Any, call: Call) -> Answer:
        """Answer a page of definitions.

        Raises:
            NotFound: the gallery cannot be seen, or nothing of it can be used in the region.
        """
        page = read_page(self._d.page_tokens, request, call, IMAGE_FIELDS, orders=IMAGE_ORDERS)
        stated = [one for one in page.comparisons if is_stated(one)]
        consumer = self.grants.consumer(call, scope_of(call))
        return self._page(
            call,
            page,
            self._d.readers.views.definitions,
            lambda row: convert.encode_image(self.view, row, consumer),
            fit=lambda message: fits(message, page.comparisons),
            limit=page.size + 1 if len(stated) == len(page.comparisons) else _LOOKED_AT,
            query=self._query(call, scope_of(call), sought=Sought(comparisons=stated)),
        )

    def search(self, request: Any, call: Call) -> Answer:
        """Answer a page of the definitions that fit a search, each with its gallery."""
        parent = scope_of(call)
        looked_for = (request.query, request.publisher, request.os_type, request.architecture)
        page = read_page(self._d.page_tokens, request, call, {}, orders=(), extra=repr(looked_for))
        consumer = self.grants.consumer(call, parent)
        return self._page(
            call,
            page,
            self._d.readers.views.definitions,
            lambda row: convert.encode_match(row, consumer),
            fit=lambda match: matches(match, request),
            limit=page.size + 1,
            query=self._query(
                call, parent, location=self._known_region(call, parent), sought=sought(request)
            ),
        )

    def version(self, call: Call) -> Any:
        """Answer one version by its number.

        Raises:
            NotFound: it cannot be seen or used in the region; VERSION_DELETED.
        """
        name = scope_of(call)
        call.violations.raise_if_any()
        found = self._d.readers.views.versions(self._query(call, name, limit=1, with_deleted=True))
        if not found:
            raise self._no_version(call, name)
        self.grants.judge_anew(call, found[0].policy_revision, name.text)
        return convert.encode_version(self.view, found[0], self.grants.consumer(call, name))

    def versions(self, request: Any, call: Call) -> Answer:
        """Answer a page of versions.

        Raises:
            NotFound: the definition cannot be seen, or nothing of it can be used in the region.
        """
        page = read_page(self._d.page_tokens, request, call, VERSION_FIELDS, orders=VERSION_ORDERS)
        consumer = self.grants.consumer(call, scope_of(call))
        return self._page(
            call,
            page,
            self._d.readers.views.versions,
            lambda row: convert.encode_version(self.view, row, consumer),
            fit=lambda message: fits(message, page.comparisons),
            limit=_LOOKED_AT if page.comparisons else page.size + 1,
        )

    def _page(
        self,
        call: Call,
        page: Page,
        fetch: Callable[[ViewQuery], Sequence[View]],
        encode: Callable[[Any], Any],
        *,
        fit: Fits,
        limit: int,
        query: ViewQuery | None = None,
    ) -> Answer:
        parent = scope_of(call)
        query = query or self._query(call, parent)
        rows = fetch(replace(query, order=page.order, after=page.after, limit=limit))
        of_one = self.grants.names_one(parent)
        is_first = of_one and page.after is None and not parent.has_wildcard
        if not rows and is_first:
            # What is sought may not be there though something else is.
            everything = Sought()
            if query.sought == everything or not fetch(replace(query, sought=everything)):
                raise self.grants.missing(parent)
        shown: list[Told] = []
        used = 0
        token = self._token(rows[-1].position, page) if len(rows) == limit else ""
        for index, row in enumerate(rows):
            message = encode(row)
            if not fit(message):
                continue
            used += message.ByteSize()
            if len(shown) == page.size or (shown and used > _PAGE_BYTES):
                token = self._token(rows[index - 1].position, page)
                break
            shown.append((message, row.policy_revision))
        return self.grants.judged(call, parent, shown), token

    def _query(
        self,
        call: Call,
        name: Name,
        *,
        limit: int = 1,
        covers: Covers | None = None,
        location: str | None = None,
        **more: Any,
    ) -> ViewQuery:
        self.grants.consumer(call, name)
        image, version = name.ids.get("image", WILDCARD), name.ids.get("version")
        return ViewQuery(
            self.view.id,
            [one.gallery_uid for one in self.grants.of(call, name, covers)],
            self.grants.location(name) if location is None else location,
            limit,
            image="" if image == WILDCARD else fold(image),
            number=parse_version(version) if version else None,
            across=not self.grants.names_one(name),
            **more,
        )

    def _token(self, position: tuple[Any, ...] | None, page: Page) -> str:
        return "" if position is None else self._d.page_tokens.encode(position, page.binding)

    def _encoded(self, row: GalleryView, consumer: str) -> Any:
        return convert.encode_gallery(self.view, row.gallery, row.location, consumer)

    def _known_region(self, call: Call, parent: Name) -> str:
        """Answer the region of a parent, empty for all.

        Raises:
            InvalidArgument: REGION_UNKNOWN.
        """
        if parent.ids["location"] == WILDCARD:
            return ""
        sent = parent.ids["location"]
        region = checks.find_region(sent, "parent", self._d.regions, call.violations)
        call.violations.raise_if_any()
        return sent if region is None else region.id

    def _no_version(self, call: Call, name: Name) -> NotFound:
        """Build the error for a version that is not there, told as gone where it was seen once."""
        grant = self.grants.one(call, name)
        private = f"{grant.gallery}/images/{name.ids['image']}/versions/{name.ids['version']}"
        versions = self._d.readers.versions
        deleted = versions.deleted(key(private))
        if deleted is None or versions.exists(key(private)):
            return self.grants.missing(name)
        return missing(name.text, deleted)
