"""`ResolveImageVersion` of views: which version an image of somebody else's gallery means."""

from dataclasses import replace

from services.catalog.convert.views import ViewType, version_name
from services.catalog.domain import names, reasons
from services.catalog.domain.definition import Identifier
from services.catalog.domain.region import location_key
from services.catalog.ports.calls import Context
from services.catalog.ports.reading import Resolved
from services.catalog.ports.views import VersionView, ViewQuery
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.view_grants import ViewGrants
from services.catalog.usecases import resolve
from services.catalog.usecases.version_delete import missing
from services.kernel.errors import NotFound
from services.kernel.filter import Order
from services.kernel.names import Name, fold, key, parse_version
from services.kernel.rpc.call import Call

_HIGHEST = (Order("name", descending=True),)


def resolve_view(
    command: resolve.Resolve, context: Context, *, dependencies: Dependencies, call: Call
) -> resolve.Resolution:
    """Answer the exact version of an image in the region of a view.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        PermissionDenied: the right to read views is missing in the subscription that asks.
        NotFound: RESOURCE_NOT_FOUND, IMAGE_IDENTIFIER_NOT_FOUND, NO_LATEST, NOT_IN_REGION or
            VERSION_DELETED.
    """
    image = resolve.meant(command.image)
    view = view_of(image)
    context.access.require(resolve.read_action(image), image.text)
    resolve.check_identifier(command, of_gallery="image" not in image.ids, context=context)
    check_location(command.location, image, context)
    context.violations.raise_if_any()
    found = find_view(image, dependencies, call, identifier=command.identifier)
    version = found.version
    resolved = Resolved(
        name=version_name(view, found, names.subscription_of(image.text)),
        publish_time=version.publish_time,
        end_of_life_time=version.end_of_life_time or found.definition.end_of_life_time,
        state=version.version_state,
        consumption_end_time=version.consumption_end_time,
        policy_revision=found.policy_revision,
    )
    return resolve.Resolution(resolved, found.location)


def view_of(image: Name) -> ViewType:
    """Answer the kind of view that a name is in."""
    return ViewType.SHARED if "shared_gallery" in image.ids else ViewType.COMMUNITY


def check_location(location: str, image: Name, context: Context) -> None:
    """Note a region that is not the view's."""
    if location and location_key(location) != location_key(image.ids["location"]):
        context.violations.add("location", "must be the region of the view, or empty")


def find_view(
    image: Name,
    dependencies: Dependencies,
    call: Call,
    *,
    identifier: Identifier | None = None,
    with_status: bool = False,
) -> VersionView:
    """Answer the version that a view means, for a caller who may read versions there.

    Raises:
        PermissionDenied: not any more, at the policy under which the version was written.
        NotFound: RESOURCE_NOT_FOUND, IMAGE_IDENTIFIER_NOT_FOUND, NO_LATEST, NOT_IN_REGION or
            VERSION_DELETED.
    """
    grants = ViewGrants(dependencies, view_of(image))
    resolver = _Resolver(dependencies, grants, call, with_status=with_status)
    found = resolver.found(image, identifier)
    action = resolve.read_action(image)
    grants.judge_anew(call, found.policy_revision, image.text, action=action)
    return found


class _Resolver:
    """Looks for one version in the galleries that a consumer sees."""

    def __init__(
        self, dependencies: Dependencies, grants: ViewGrants, call: Call, *, with_status: bool
    ) -> None:
        self._readers = dependencies.readers
        self._grants = grants
        self._call = call
        self._with_status = with_status

    def found(self, image: Name, identifier: Identifier | None) -> VersionView:
        """Answer the version that an image means, and where it is not there say why."""
        grant = self._grants.one(self._call, image)
        image_id = image.ids.get("image", "")
        if identifier is not None:
            private = self._readers.definitions.with_identifier(grant.gallery, identifier.key)
            image_id = "" if private is None else private.rpartition("/")[2]
            if not image_id:
                raise NotFound(
                    f"{image.text} has no image of that publisher, offer and SKU",
                    reason=reasons.IMAGE_IDENTIFIER_NOT_FOUND,
                    metadata={
                        "publisher": identifier.publisher,
                        "offer": identifier.offer,
                        "sku": identifier.sku,
                    },
                )
        number = image.ids.get("version")
        query = ViewQuery(
            self._grants.view.id,
            [grant.gallery_uid],
            self._grants.location(image),
            1,
            image=fold(image_id),
            number=parse_version(number, field="image") if number else None,
            selectable=number is None,
            with_deleted=number is not None,
            with_status=self._with_status,
            order=_HIGHEST,
        )
        rows = self._readers.views.versions(query)
        if rows:
            return rows[0]
        if self._readers.views.versions(replace(query, location="")):
            raise _elsewhere(image, query.location)
        if number:
            deleted = self._readers.versions.deleted(
                key(f"{grant.gallery}/images/{image_id}/versions/{number}")
            )
            raise self._grants.missing(image) if deleted is None else missing(image.text, deleted)
        anything = replace(query, location="", selectable=False, with_deleted=True)
        if self._readers.views.versions(anything):
            raise NotFound(
                f"{image.text} has no version that latest may mean",
                reason=reasons.NO_LATEST,
                metadata={"resource": image.text},
            )
        raise self._grants.missing(image)


def _elsewhere(image: Name, location: str) -> NotFound:
    """Build the error for what can be used elsewhere; where is the owner's business."""
    return NotFound(
        f"{image.text} cannot be used in {location}",
        reason=reasons.NOT_IN_REGION,
        metadata={"resource": image.text, "location": location},
    )
