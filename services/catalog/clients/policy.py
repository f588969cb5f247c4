"""The directory of subscriptions, read from this process's copy of the policy."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.catalog.domain.region import location_key
from services.catalog.ports.calls import SubscriptionInfo
from services.kernel.names import fold
from services.policy.access_control import PolicyAccessControl


class PolicySubscriptions:
    """Fulfils the port `Subscriptions`."""

    def __init__(
        self, control: PolicyAccessControl, regions: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`regions` are the ids that a subscription may use, divided by spaces, by its id."""
        self._control: Final = control
        self._regions: Final = {
            f"subscriptions/{fold(subscription)}": frozenset(map(location_key, ids.split()))
            for subscription, ids in regions.items()
        }

    def find(self, key: str) -> SubscriptionInfo | None:
        """Answer the subscription with this key.

        Raises:
            Unavailable: the policy is not here yet.
        """
        found = self._control.index.directory.subscriptions.get(key)
        if found is None:
            return None
        regions = self._regions.get(found.key)
        return SubscriptionInfo(found.key, found.tenant, found.enabled, regions)
