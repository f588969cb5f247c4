"""A call, and what is known of the installation it is made to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.catalog.domain.region import Region
from services.kernel.clock import Clock
from services.kernel.rpc.access import Access, Caller
from services.kernel.violations import Violations


@dataclass(frozen=True, slots=True)
class Context:
    """A call, as a use case sees it.

    `access` is pinned at one revision; the action of the method was demanded already.
    `violations` holds what the contract's rules found.
    """

    caller: Caller
    access: Access
    violations: Violations
    clock: Clock

    @property
    def principal(self) -> str:
        """The name of the principal who calls, empty for a service."""
        return next(iter(self.access.principals), "")


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """A subscription of the directory; `tenant` is the key of its tenant, `tenants/{t}`.

    `regions` are the ids of the regions that it may use, None where it may use all.
    """

    key: str
    tenant: str
    enabled: bool
    regions: frozenset[str] | None = None


class Subscriptions(Protocol):
    """The directory of subscriptions, as this process's copy of the policy has it."""

    def find(self, key: str) -> SubscriptionInfo | None:
        """Answer the subscription with this key."""


class Regions(Protocol):
    """The regions of the installation."""

    def find(self, spellings: Iterable[str]) -> Mapping[str, Region | None]:
        """Answer the region that each id or display name means, None for an unknown one.

        What the mirror lacks is asked for once at the replication service.

        Raises:
            Unavailable: it does not answer.
        """

    def known(self) -> Sequence[str]:
        """Answer the ids of all regions, in their order."""


class RegionRows(Protocol):
    """The mirror of the regions, as the database has it."""

    def spelled(self, spellings: Sequence[str]) -> Mapping[str, Region]:
        """Answer the region that each id or display name means; unknown ones are left out."""

    def known(self) -> Sequence[str]:
        """Answer the ids of all regions, in their order."""
