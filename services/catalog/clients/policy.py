"""The directory of subscriptions, read from this process's copy of the policy."""

from typing import Final

from services.catalog.ports.calls import SubscriptionInfo
from services.policy.access_control import PolicyAccessControl


class PolicySubscriptions:
    """Fulfils the port `Subscriptions`."""

    def __init__(self, control: PolicyAccessControl) -> None:
        self._control: Final = control

    def find(self, key: str) -> SubscriptionInfo | None:
        """Answer the subscription with this key.

        Raises:
            Unavailable: the policy is not here yet.
        """
        found = self._control.index.directory.subscriptions.get(key)
        if found is None:
            return None
        return SubscriptionInfo(found.key, found.tenant, found.enabled)
