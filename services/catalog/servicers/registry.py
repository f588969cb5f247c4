"""Which class serves which proto service: the one list, extended by whoever adds a service."""

from collections.abc import Callable, Mapping
from typing import Final

from services.catalog.servicers.dependencies import Dependencies

FACTORIES: Final[Mapping[str, Callable[[Dependencies], object]]] = {}
