"""Resource groups."""

from dataclasses import dataclass

from services.catalog.domain.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGroup(Resource):
    """A container of galleries and sources in one subscription."""
