"""Everything that a serving process needs to decide access, put together."""

from contextlib import ExitStack
from typing import Final

import grpc
from stoa.authz.v1.authorization_service_pb2_grpc import AuthorizationServiceStub
from stoa.authz.v1.policy_feed_service_pb2_grpc import PolicyFeedServiceStub

from services.kernel.ids import new_uid
from services.kernel.rpc.guesses import PER_MINUTE, GuessLimit
from services.kernel.rpc.serving import open_channel
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.access import Observer, unobserved
from services.policy.access_control import PolicyAccessControl
from services.policy.callers import Callers
from services.policy.client import AuthzClient
from services.policy.config import PolicyConfig
from services.policy.feed import SERVICE, PolicyFeed
from services.policy.replica import PolicyReplica
from services.policy.reporter import Reporter


class PolicyRuntime:
    """A replica that follows authz and reports to it, and the access control over both."""

    def __init__(
        self,
        feed_channel: grpc.Channel,
        questions_channel: grpc.Channel,
        *,
        name: str,
        own_issuer: str = "",
        observe: Observer = unobserved,
        guesses_per_minute: int = PER_MINUTE,
    ) -> None:
        """Put together; nothing is called before `start`.

        Args:
            feed_channel: to authz's feed listener.
            questions_channel: to authz's internal listener, for what the replica cannot
                decide.
            name: what the replica is called in reports, for example `catalog`; an id of
                this process is added.
            own_issuer: the `iss` of the installation's own tokens.
            observe: is told every decision.
            guesses_per_minute: how many views a caller may name that are not theirs to see.
        """
        feed = PolicyFeedServiceStub(feed_channel)
        self.replica: Final = PolicyReplica()
        authority = AuthzClient(
            feed, AuthorizationServiceStub(questions_channel), f"{name}-{new_uid()}"
        )
        self.control: Final = PolicyAccessControl(
            self.replica,
            authority,
            callers=Callers(own_issuer),
            observe=observe,
            guesses=GuessLimit(guesses_per_minute),
        )
        self._follower: Final = PolicyFeed(feed, self.replica).follower()
        self._reporter: Final = Reporter(self.replica, authority)

    def start(self) -> None:
        """Begin to follow and to report."""
        self._follower.start()
        self._reporter.start()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the replica was up with the log once; answer whether it was in time."""
        return self._follower.wait_ready(timeout)

    def stop(self) -> None:
        """Leave: report so, and end all threads."""
        self._follower.stop()
        self._reporter.stop()
        self.control.close()


def open_policy(
    config: PolicyConfig,
    name: str,
    questions: grpc.Channel,
    *,
    stack: ExitStack,
    telemetry: Telemetry,
) -> PolicyRuntime:
    """Begin to follow the policy over a channel of its own; `stack` ends it.

    `questions` is a channel to authz's internal listener.
    """
    feed = open_channel(
        config,
        config.authz_feed_address,
        [SERVICE],
        stack=stack,
        telemetry=telemetry,
    )
    runtime = PolicyRuntime(
        feed,
        questions,
        name=name,
        own_issuer=config.token_issuer,
        guesses_per_minute=config.guesses_per_minute,
    )
    runtime.start()
    stack.callback(runtime.stop)
    return runtime
