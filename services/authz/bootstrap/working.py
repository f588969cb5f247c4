"""The process that keeps the database in bounds."""

from contextlib import ExitStack

from services.authz.bootstrap.stores import open_stores_of
from services.authz.config import SERVICE, Config
from services.authz.workers.housekeeping import Housekeeping
from services.kernel.child import Child
from services.kernel.rpc.serving import open_telemetry


def work(config: Config, child: Child) -> None:
    """Keep the database in bounds until the child is told to stop."""
    with ExitStack() as stack:
        open_telemetry(config, SERVICE, stack)
        stores = open_stores_of(config, stack)
        housekeeping = Housekeeping(
            stores.upkeep, stores.policy, stores.clock, retention=config.log_retention_seconds
        )
        child.ready()
        housekeeping.run(child.stop)
