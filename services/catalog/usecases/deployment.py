"""Whether machines would start from an image, and whether a scale set may move to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.catalog.domain import deployment_rules, names
from services.catalog.domain.deployment import Deployment, Finding, Image, Layout, Severity
from services.catalog.domain.region import Region
from services.catalog.ports.calls import Context, Regions
from services.catalog.ports.deployment import Current, Deployable
from services.catalog.ports.reading import Readers
from services.catalog.usecases import resolve
from services.catalog.usecases.linked import Demand, authorize
from services.catalog.usecases.version_delete import missing
from services.kernel.errors import NotFound
from services.kernel.names import Name, Pattern

_CURRENT: Final = "current_image"
_CURRENT_NAMES: Final = Pattern(
    *names.MANAGED_IMAGES.patterns,
    *names.VERSIONS.patterns,
    *names.SHARED_VERSIONS.patterns,
    *names.COMMUNITY_VERSIONS.patterns,
)
_IMAGE_READ_ACTION: Final = "Microsoft.Compute/images/read"


@dataclass(frozen=True, slots=True)
class CheckDeployment:
    """An image, a region and what is to be made; `current_image` as it was sent, or empty."""

    image: Name
    location: str
    deployment: Deployment
    current_image: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The exact version that was checked, by the name that the caller knows, and the findings."""

    version: str
    location: str
    findings: Sequence[Finding]

    @property
    def deployable(self) -> bool:
        """Whether nothing stands in the way."""
        return all(one.kind.severity is not Severity.ERROR for one in self.findings)


def authorize_check(command: CheckDeployment, context: Context) -> Name | None:
    """Demand the right to read both images in one decision; answer the name of the current one.

    Notes a current image that is malformed, or that a single machine cannot have.

    Raises:
        PermissionDenied: LINKED_PERMISSION_DENIED for the current image.
        NotFound: a view that is not there, or not to be seen.
    """
    current: Name | None = None
    image = command.image
    if command.current_image:
        with context.violations.collect():
            current = _CURRENT_NAMES.parse(command.current_image, field=_CURRENT)
        if not command.deployment.kind.is_scale_set:
            context.violations.add(_CURRENT, "is for a scale set, which a single machine is not")
    linked = [] if current is None else [Demand(read_action(current), current.text, _CURRENT)]
    target = Demand(resolve.read_action(image), image.text, "image")
    # An image that is not there is what is asked about, and no source of anything.
    authorize(target, linked, context, absent=NotFound.default_reason)
    return current


def find(
    command: CheckDeployment, context: Context, *, readers: Readers, regions: Regions
) -> tuple[Deployable, Region]:
    """Answer the version that a private name means in a region, and the region.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        NotFound: NO_LATEST, NOT_IN_REGION, VERSION_DELETED or RESOURCE_NOT_FOUND.
    """
    region = resolve.known_region(command.location, context, regions)
    return resolve.find(command.image, region, readers.deployments, readers), region


def find_current(current: Name, readers: Readers) -> Current:
    """Answer what a private name of a current image is.

    Raises:
        NotFound: RESOURCE_NOT_FOUND or VERSION_DELETED.
    """
    if "managed_image" in current.ids:
        image = readers.deployments.of_managed_image(current.key)
        if image is None:
            raise NotFound.of(names.MANAGED_IMAGE_TYPE, current.text)
        return image
    version = readers.deployments.of_version(current.key)
    if version is None:
        raise missing(current.text, readers.versions.deleted(current.key))
    return version


def judge(name: str, image: Image, deployment: Deployment, current: Layout | None) -> Checked:
    """Answer everything that is found of a version, which the caller knows as `name`."""
    findings = deployment_rules.check(image, deployment, current)
    return Checked(name, image.status.location, findings)


def read_action(current: Name) -> str:
    """Answer the action that reading a current image needs."""
    return _IMAGE_READ_ACTION if "managed_image" in current.ids else resolve.read_action(current)
