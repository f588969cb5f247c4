"""`ResolveImageVersion` of views: which version an image of somebody else's gallery means."""

from dataclasses import replace

from services.catalog.convert.views import ViewType, version_name
from services.catalog.domain import names, reasons
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
    image = command.image
    if "version" in image.ids and fold(image.id) == resolve.LATEST:
        image = image.parent()
    view = ViewType.SHARED if "shared_gallery" in image.ids else ViewType.COMMUNITY
    action = f"Microsoft.Compute/locations/{view.value}/images/versions/read"
    context.access.require(action, image.text)
    resolve.check_identifier(command, of_gallery="image" not in image.ids, context=context)
    violations = context.violations
    if command.location and location_key(command.location) != location_key(image.ids["location"]):
        violations.add("location", "must be the region of the view, or empty")
    violations.raise_if_any()
    grants = ViewGrants(dependencies, view)
    found = _Resolver(dependencies, grants, call).found(image, command)
    grants.judge_anew(call, found.policy_revision, image.text, action=action)
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


class _Resolver:
    """Looks for one version in the galleries that a consumer sees."""

    def __init__(self, dependencies: Dependencies, grants: ViewGrants, call: Call) -> None:
        self._readers = dependencies.readers
        self._grants = grants
        self._call = call

    def found(self, image: Name, command: resolve.Resolve) -> VersionView:
        """Answer the version that an image means, and where it is not there say why."""
        grant = self._grants.one(self._call, image)
        image_id = image.ids.get("image", "")
        if command.identifier is not None:
            private = self._readers.definitions.with_identifier(
                grant.gallery, command.identifier.key
            )
            image_id = "" if private is None else private.rpartition("/")[2]
            if not image_id:
                raise NotFound(
                    f"{image.text} has no image of that publisher, offer and SKU",
                    reason=reasons.IMAGE_IDENTIFIER_NOT_FOUND,
                    metadata={
                        "publisher": command.identifier.publisher,
                        "offer": command.identifier.offer,
                        "sku": command.identifier.sku,
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
        if self._readers.views.versions(replace(query, location="", selectable=False)):
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
