"""The settings of a service that follows the policy of authz."""

from dataclasses import dataclass

from services.kernel.config import between, setting
from services.kernel.rpc.guesses import PER_MINUTE
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
    guesses_per_minute: int = setting(
        PER_MINUTE,
        doc="How many shared and community views a caller may name within a minute that are not"
        " there for them, in each server process; beyond it views are refused to them for a while.",
        check=between(1, 1_000_000),
    )
