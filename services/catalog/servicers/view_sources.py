"""Versions that publishers have opened, as sources: found as their views are."""

from typing import Final

from services.catalog.convert.views import ViewType, version_name
from services.catalog.domain import names
from services.catalog.domain.version import WholeSource, WholeSourceKind
from services.catalog.ports.views import OpenedVersion, ViewQuery
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.view_grants import ViewGrants
from services.catalog.usecases.version_sources import action_on
from services.kernel.errors import NotFound
from services.kernel.names import Pattern, fold, parse_version
from services.kernel.rpc.call import Call

_KINDS: Final[dict[WholeSourceKind, tuple[ViewType, Pattern]]] = {
    WholeSourceKind.SHARED_VERSION: (ViewType.SHARED, names.SHARED_VERSIONS),
    WholeSourceKind.COMMUNITY_VERSION: (ViewType.COMMUNITY, names.COMMUNITY_VERSIONS),
}


class ViewSources:
    """Fulfils the port `OpenedVersions` for one call, which was authorized for the source."""

    def __init__(self, dependencies: Dependencies, call: Call) -> None:
        self._d: Final = dependencies
        self._call: Final = call

    def find(self, source: WholeSource) -> OpenedVersion | None:
        """Answer the version that a source names, None where it cannot be seen or used."""
        view, pattern = _KINDS[source.kind]
        name = pattern.parse(source.name)
        grants = ViewGrants(self._d, view)
        try:
            grant = grants.one(self._call, name)
        except NotFound:
            return None
        query = ViewQuery(
            view.id,
            [grant.gallery_uid],
            grants.location(name),
            1,
            image=fold(name.ids["image"]),
            number=parse_version(name.ids["version"]),
            with_deleted=True,
        )
        rows = self._d.readers.views.versions(query)
        if not rows:
            return None
        grants.judge_anew(
            self._call, rows[0].policy_revision, name.text, action=action_on(source.kind)
        )
        return OpenedVersion(
            version_name(view, rows[0], names.subscription_of(name.text)),
            rows[0],
            next(iter(self._call.access.principals), ""),
        )
