"""The settings of a service that follows the policy of authz."""

from dataclasses import dataclass

from services.kernel.config import setting
from services.kernel.serving_config import ServingConfig


@dataclass(frozen=True, slots=True)
class PolicyConfig(ServingConfig):
    """What the configuration of such a service begins with."""

    authz_address: str = setting(
        "localhost:7413", doc="Where the authz service listens for services."
    )
    authz_feed_address: str = setting(
        "localhost:7404", doc="Where the authz service serves the policy feed."
    )
