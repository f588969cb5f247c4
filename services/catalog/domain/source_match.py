"""Whether what is known of a source fits a definition (gallery-semantics 3.7, 3.12).

One matcher for every kind of source: each of them tells of its operating system as a `System`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.catalog.domain import features, reasons
from services.catalog.domain.definition import Definition
from services.catalog.domain.hardware import (
    DiskControllerType,
    MachineSecurityType,
    PurchasePlan,
)
from services.catalog.domain.system import System
from services.catalog.domain.version import Number
from services.kernel.names import fold
from services.kernel.violations import Violations

_STANDARD: Final = MachineSecurityType.STANDARD
_TRUSTED: Final = MachineSecurityType.TRUSTED_LAUNCH
_CONFIDENTIAL: Final = MachineSecurityType.CONFIDENTIAL_VM

# The machines that an image of each security type can come from. A type that ends in
# `Supported` also takes a plain source of generation 2; the exact ones take their own alone.
SOURCES_OF: Final[Mapping[str, frozenset[MachineSecurityType]]] = MappingProxyType(
    {
        "Standard": frozenset({_STANDARD}),
        "TrustedLaunchSupported": frozenset({_STANDARD, _TRUSTED}),
        "TrustedLaunch": frozenset({_TRUSTED}),
        "ConfidentialVMSupported": frozenset({_STANDARD, _CONFIDENTIAL}),
        "ConfidentialVM": frozenset({_CONFIDENTIAL}),
        "TrustedLaunchAndConfidentialVmSupported": frozenset({_STANDARD, _TRUSTED, _CONFIDENTIAL}),
    }
)
_MACHINES: Final = MappingProxyType({"TrustedLaunch": _TRUSTED, "ConfidentialVM": _CONFIDENTIAL})
_SUPPORTED: Final = "Supported"


def system_of(definition: Definition, number: Number, *, guest_state: bool = False) -> System:
    """Answer what is known of the system on a version of a definition, as of a source.

    `guest_state` says whether the version carries that of the machine that it was made from.
    """
    found = features.in_force(definition.features, number)
    networking = features.value_of(found, features.ACCELERATED_NETWORKING)
    nvme = "NVMe" in features.value_of(found, features.DISK_CONTROLLERS)
    return System(
        os_type=definition.os_type,
        os_state=definition.os_state,
        hyper_v_generation=definition.hyper_v_generation,
        architecture=definition.architecture,
        security_type=_MACHINES.get(features.security_type(found), _STANDARD),
        carries_vm_guest_state=guest_state,
        accelerated_networking=networking == "True" if networking else None,
        disk_controllers=(DiskControllerType.SCSI, DiskControllerType.NVME) if nvme else (),
        purchase_plan=definition.purchase_plan,
    )


def check(
    system: System, definition: Definition, number: Number, violations: Violations, *, resource: str
) -> None:
    """Note everything in which a source, `resource`, differs from a definition.

    `number` is that of the version to be made: features may begin with a later one.
    """
    refuse = _Refusals(resource, violations)
    refuse.different(reasons.SOURCE_OS_TYPE_MISMATCH, system.os_type, definition.os_type)
    if system.os_state is not None:
        refuse.different(reasons.SOURCE_OS_STATE_MISMATCH, system.os_state, definition.os_state)
    refuse.different(
        reasons.SOURCE_GENERATION_MISMATCH,
        system.hyper_v_generation,
        definition.hyper_v_generation,
    )
    refuse.different(
        reasons.SOURCE_ARCHITECTURE_MISMATCH, system.architecture, definition.architecture
    )
    if plan_key(system.purchase_plan) != plan_key(definition.purchase_plan):
        refuse.different(
            reasons.SOURCE_PLAN_MISMATCH,
            _plan(system.purchase_plan),
            _plan(definition.purchase_plan),
        )
    in_force = features.in_force(definition.features, number)
    _check_security(system, features.security_type(in_force), refuse)
    promised = features.value_of(in_force, features.ACCELERATED_NETWORKING) == "True"
    if promised and system.accelerated_networking is False:
        refuse.note(
            reasons.SOURCE_FEATURE_MISMATCH,
            "lacks accelerated networking, which the definition promises",
            feature=features.ACCELERATED_NETWORKING,
        )
    controllers = features.value_of(in_force, features.DISK_CONTROLLERS)
    if DiskControllerType.NVME in system.disk_controllers and "NVMe" not in controllers:
        refuse.note(
            reasons.SOURCE_FEATURE_MISMATCH,
            "starts from NVMe, which the definition does not have",
            feature=features.DISK_CONTROLLERS,
        )


def plan_key(plan: PurchasePlan | None) -> tuple[str, ...]:
    """Answer what plans are compared by: without case; none is equal to none alone."""
    return () if plan is None else (fold(plan.name), fold(plan.publisher), fold(plan.product))


def _check_security(system: System, wanted: str, refuse: "_Refusals") -> None:
    if system.security_type not in SOURCES_OF[wanted]:
        refuse.note(
            reasons.SOURCE_SECURITY_TYPE_MISMATCH,
            f"comes from a machine of the security type {system.security_type.value}, "
            f"which an image of the type {wanted} cannot",
        )
    if system.carries_vm_guest_state and wanted.endswith(_SUPPORTED):
        refuse.note(
            reasons.SOURCE_CARRIES_GUEST_STATE,
            f"carries guest state, which an image of the type {wanted} cannot have",
        )


class _Refusals:
    """Notes what is wrong with one source."""

    def __init__(self, resource: str, violations: Violations) -> None:
        self._resource: Final = resource
        self._violations: Final = violations

    def different(self, reason: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.note(reason, f"has {_shown(found)}, and the definition {_shown(wanted)}")

    def note(self, reason: str, problem: str, **metadata: str) -> None:
        self._violations.precondition(
            reason,
            self._resource,
            f"{self._resource} {problem}",
            reason=reason,
            metadata={"resource": self._resource, **metadata},
        )


def _plan(plan: PurchasePlan | None) -> str:
    return "" if plan is None else f"the plan {plan.publisher}/{plan.product}/{plan.name}"


def _shown(value: object) -> str:
    return str(getattr(value, "value", value) or "none")
