"""What machines are made from, as it is judged before they are."""

from dataclasses import dataclass
from typing import Protocol

from services.catalog.domain.definition import Definition
from services.catalog.domain.deployment import Layout
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version


@dataclass(frozen=True, slots=True)
class Deployable:
    """A version that can be used in a region, and its status there."""

    definition: Definition
    version: Version
    status: RegionStatus


@dataclass(frozen=True, slots=True)
class Current:
    """What the machines of a scale set are made from."""

    layout: Layout
    policy_revision: int


class Deployments(Protocol):
    """Reads for `CheckDeployment`, one statement each."""

    def latest(self, definition_key: str, location: str) -> Deployable | None:
        """Answer the highest version that `latest` may mean in a region."""

    def usable(self, key: str, location: str) -> Deployable | None:
        """Answer a version where it can be used in a region."""

    def of_version(self, key: str) -> Current | None:
        """Answer what a version is, wherever it can be used."""

    def of_managed_image(self, key: str) -> Current | None:
        """Answer what a managed image is."""
