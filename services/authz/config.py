"""The settings of the authz service."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.kernel.config import between, setting
from services.kernel.names import id_problem
from services.kernel.serving_config import ServingConfig

SERVICE: Final = "authz"
DOMAIN: Final = "authz.stoa.dev"


@dataclass(frozen=True, slots=True)
class Config(ServingConfig):
    """Every setting; section [authz] of the file, variables STOA_AUTHZ_*."""

    client_listen: str = setting("127.0.0.1:7403", doc="Address of the client listener.")
    internal_listen: str = setting(
        "127.0.0.1:7413", doc="Address of the listener for services, always with mutual TLS."
    )
    token_audience: str = setting(DOMAIN, doc="The `aud` that a bearer token must have.")
    feed_listen: str = setting(
        "127.0.0.1:7404", doc="Address of the policy feed, for services, always with mutual TLS."
    )
    bootstrap_tenant: str = setting(
        "", doc="Id of the tenant that an empty database begins with. Empty: none."
    )
    bootstrap_subscription: str = setting(
        "", doc="Id of the subscription that an empty database begins with. Empty: none."
    )
    bootstrap_owner: str = setting(
        "",
        doc="Id of the user who owns that tenant and operates the installation. Empty: none.",
    )
    log_retention_seconds: float = setting(
        3600.0,
        doc="How long the policy log is kept: for those who resume it, for questions about "
        "earlier revisions, and for decisions to be explained.",
        check=between(60, 30 * 24 * 3600),
    )
    max_role_assignments_per_subscription: int = setting(
        4_000,
        doc="The most role and eligible assignments in a subscription, at it and below it.",
        check=between(1, 10**9),
    )
    max_role_assignments_above: int = setting(
        500,
        doc="The most role and eligible assignments at one management group, at one tenant, and "
        "at the installation.",
        check=between(1, 10**9),
    )
    max_activations: int = setting(
        1_000,
        doc="The most members who have activated one eligible assignment at once.",
        check=between(1, 10_000),
    )
    max_deny_assignments_per_subscription: int = setting(
        2_000,
        doc="The most deny assignments in a subscription, at it and below it.",
        check=between(0, 10**9),
    )
    max_deny_assignments_above: int = setting(
        500,
        doc="The most deny assignments at one management group, at one tenant, and at the "
        "installation.",
        check=between(0, 10**9),
    )
    max_role_definitions: int = setting(
        5_000, doc="The most custom roles of a tenant.", check=between(0, 10**9)
    )
    max_group_members: int = setting(
        100_000, doc="The most direct members of a group.", check=between(0, 10**9)
    )
    max_group_nesting: int = setting(
        64, doc="How deep groups may be nested in groups.", check=between(1, 64)
    )
    max_shared_subscriptions: int = setting(
        30, doc="The most subscriptions that a gallery is shared with.", check=between(0, 10_000)
    )
    max_shared_tenants: int = setting(
        5, doc="The most tenants that a gallery is shared with.", check=between(0, 10_000)
    )
    max_blocked_consumers: int = setting(
        1_000,
        doc="The most subscriptions and tenants that a community gallery is closed to.",
        check=between(0, 10_000),
    )

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the settings taken together."""
        yield from ServingConfig.problems(self)
        given = (self.bootstrap_subscription, self.bootstrap_owner)
        if any(given) and not self.bootstrap_tenant:
            yield "bootstrap_tenant: is needed for the subscription and the owner"
        for name in ("bootstrap_tenant", "bootstrap_subscription", "bootstrap_owner"):
            value = getattr(self, name)
            if value and (problem := id_problem(value)):
                yield f"{name}: {problem}"
