"""What a server serves: servicers by service, checked against the contract at the start."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor_pool import Default

from services.kernel.rpc import validation
from services.kernel.rpc.method_policy import MethodPolicy, Rule, policies
from services.kernel.rpc.path import Front, Path


class Audience(enum.Enum):
    """Whom a listener is for."""

    CLIENT = "client"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Registered:
    """One method; `behaviour` is None where the servicer lacks it."""

    policy: MethodPolicy
    behaviour: Any


class Registry:
    """The services of a server."""

    def __init__(self) -> None:
        self._servicers: Final[dict[str, object]] = {}
        self._methods: dict[str, Registered] = {}

    def register(self, service: str, servicer: object) -> None:
        """Serve `service`, a full name of the contract, with the methods of `servicer`.

        Its methods are named like those of the contract and take `(request, call)`, where
        `request` is an iterator for a client stream.

        Raises:
            ValueError: registered already, or a method that the contract does not have.
        """
        if service in self._servicers:
            raise ValueError(f"{service} is registered already")
        known = {method.name for method in Default().FindServiceByName(service).methods}
        public = {name for name in dir(servicer) if name[:1].isupper()}
        if public - known:
            raise ValueError(f"{service} has no {', '.join(sorted(public - known))}")
        self._servicers[service] = servicer

    def check(self) -> None:
        """Read all access rules, and compile all rules on fields.

        Raises:
            MissingPolicy: a method has no usable access rule.
        """
        found = policies(self._servicers, Default())
        self._methods = {
            path: Registered(
                policy, getattr(self._servicer_of(policy), policy.descriptor.name, None)
            )
            for path, policy in found.items()
        }

    def methods(self, audience: Audience) -> Iterator[Registered]:
        """Answer what a listener serves: those for services alone only on the internal one."""
        for method in self._methods.values():
            if audience is Audience.INTERNAL or method.policy.rule is not Rule.WORKLOAD:
                yield method

    def services(self, audience: Audience) -> list[str]:
        """Answer the services of which a listener serves at least one method."""
        found = {
            method.policy.descriptor.containing_service.full_name
            for method in self.methods(audience)
        }
        return sorted(found)

    def paths(self, audience: Audience, front: Front) -> dict[str, tuple[Path, Any]]:
        """Answer the path to, and the behaviour of, each method of a listener."""
        found = {
            method.policy.path: (Path(method.policy, front), method.behaviour)
            for method in self.methods(audience)
        }
        validation.warm(path.request for path, _ in found.values())
        return found

    def _servicer_of(self, policy: MethodPolicy) -> object:
        return self._servicers[policy.descriptor.containing_service.full_name]
