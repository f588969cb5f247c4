"""Steps in the sharing of a gallery."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.policy.model import SharingMode


class Operation(enum.Enum):
    """A step in the sharing of a gallery."""

    ADD = "ADD"
    REMOVE = "REMOVE"
    ENABLE_COMMUNITY = "ENABLE_COMMUNITY"
    DISABLE_COMMUNITY = "DISABLE_COMMUNITY"
    BLOCK_CONSUMER = "BLOCK_CONSUMER"
    UNBLOCK_CONSUMER = "UNBLOCK_CONSUMER"
    RESET = "RESET"


#: The mode that a gallery must be in for a step; RESET is taken in any.
MODES: Final[Mapping[Operation, SharingMode]] = MappingProxyType(
    {
        Operation.ADD: SharingMode.GROUPS,
        Operation.REMOVE: SharingMode.GROUPS,
        Operation.ENABLE_COMMUNITY: SharingMode.COMMUNITY,
        Operation.DISABLE_COMMUNITY: SharingMode.COMMUNITY,
        Operation.BLOCK_CONSUMER: SharingMode.COMMUNITY,
        Operation.UNBLOCK_CONSUMER: SharingMode.COMMUNITY,
    }
)
#: Steps that let somebody in, so that who they name must exist.
NAMING: Final = frozenset({Operation.ADD, Operation.BLOCK_CONSUMER})


@dataclass(frozen=True, slots=True)
class Step:
    """An operation with the consumers that it concerns."""

    operation: Operation
    subscriptions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
