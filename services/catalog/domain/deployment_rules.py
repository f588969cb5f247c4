"""Whether a machine starts from an image (gallery-semantics 1.2, 3.7, 3.10, 4)."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from services.catalog.domain.definition import ResourceRange
from services.catalog.domain.deployment import (
    Deployment,
    DeploymentKind,
    Finding,
    FindingKind,
    Image,
    Layout,
    MachineShape,
)
from services.catalog.domain.deployment_moves import check_move, check_replicas
from services.catalog.domain.features import (
    ACCELERATED_NETWORKING,
    DISK_CONTROLLERS,
    SECURITY_TYPE,
)
from services.catalog.domain.hardware import (
    DiskControllerType,
    MachineSecurityType,
    OsState,
    PurchasePlan,
)
from services.catalog.domain.version import VersionState
from services.kernel.names import fold

MOST_IN_SCALE_SET: Final = 1000
_HIBERNATION: Final = "IsHibernateSupported"
_PLAIN: Final = MachineSecurityType.STANDARD
_TRUSTED: Final = MachineSecurityType.TRUSTED_LAUNCH
_CONFIDENTIAL: Final = MachineSecurityType.CONFIDENTIAL_VM
STARTS: Final[Mapping[str, frozenset[MachineSecurityType]]] = MappingProxyType(
    {
        "": frozenset({_PLAIN}),
        "Standard": frozenset({_PLAIN}),
        "TrustedLaunchSupported": frozenset({_PLAIN, _TRUSTED}),
        "TrustedLaunch": frozenset({_TRUSTED}),
        "ConfidentialVMSupported": frozenset({_PLAIN, _CONFIDENTIAL}),
        "ConfidentialVM": frozenset({_CONFIDENTIAL}),
        "TrustedLaunchAndConfidentialVmSupported": frozenset({_PLAIN, _TRUSTED, _CONFIDENTIAL}),
    }
)
"""The machines that start from an image, by its security type (the table of 3.7)."""


def check(image: Image, deployment: Deployment, current: Layout | None) -> Sequence[Finding]:
    """Answer everything that is found, errors first, each in the order of their kinds.

    `current` is what the machines of a scale set were made from so far, None where it does not
    move.
    """
    machine = deployment.machine
    found = [
        *_os_profile(image, machine),
        *_hardware(image, machine),
        *_security(image, machine),
        *_abilities(image, machine),
        *_purchase(image, machine),
        *_scale(image, deployment),
        *_advice(image, machine),
        *check_replicas(image, deployment),
    ]
    if current is not None:
        found += check_move(image.layout, current)
    return sorted(found, key=lambda one: one.kind.value)


def _os_profile(image: Image, machine: MachineShape) -> Iterator[Finding]:
    field = "machine.os_profile_given"
    specialized = image.definition.os_state is OsState.SPECIALIZED
    if specialized and machine.os_profile_given is True:
        yield Finding(
            FindingKind.OS_PROFILE_NOT_ALLOWED,
            field,
            "the image is specialized and keeps its own accounts: give no OS profile",
        )
    if not specialized and machine.os_profile_given is False:
        yield Finding(
            FindingKind.OS_PROFILE_REQUIRED,
            field,
            "the image is generalized: give an OS profile with a computer name and an account",
        )


def _hardware(image: Image, machine: MachineShape) -> Iterator[Finding]:
    definition = image.definition
    disks = [("machine.os_disk_type", machine.os_disk_type)] + [
        (f"machine.data_disk_types[{index}]", one)
        for index, one in enumerate(machine.data_disk_types)
    ]
    for field, disk in disks:
        if disk in definition.disallowed_disk_types and disk is not None:
            yield Finding(
                FindingKind.DISK_TYPE_DISALLOWED,
                field,
                f"the image disallows disks of the type {disk.value}",
            )
    generation = definition.hyper_v_generation
    if machine.hyper_v_generation not in {None, generation}:
        yield Finding(
            FindingKind.GENERATION_MISMATCH,
            "machine.hyper_v_generation",
            f"the image is of generation {generation.value}",
        )
    architecture = definition.architecture
    if machine.architecture not in {None, architecture}:
        yield Finding(
            FindingKind.ARCHITECTURE_MISMATCH,
            "machine.architecture",
            f"the architecture of the image is {architecture.value}",
        )


def _security(image: Image, machine: MachineShape) -> Iterator[Finding]:
    field = "machine.security_type"
    wanted = machine.security_type
    named = image.feature(SECURITY_TYPE)
    starts = STARTS[named]
    if wanted not in starts and _PLAIN in starts:
        yield Finding(
            FindingKind.SECURITY_TYPE_UNSUPPORTED,
            field,
            f"the image has the security type {named or 'Standard'} "
            f"and cannot start as {wanted.value}",
        )
    elif wanted not in starts:
        (needed,) = starts
        yield Finding(
            FindingKind.SECURITY_TYPE_REQUIRED,
            field,
            f"the image has the security type {named} and starts as {needed.value} alone",
        )
    if wanted is _CONFIDENTIAL and not image.confidential:
        yield Finding(
            FindingKind.CONFIDENTIAL_REGION_REQUIRED,
            field,
            f"{image.status.location} cannot run confidential machines",
        )


def _abilities(image: Image, machine: MachineShape) -> Iterator[Finding]:
    controllers = image.feature(DISK_CONTROLLERS)
    if machine.disk_controller is DiskControllerType.NVME and "NVMe" not in controllers:
        yield Finding(
            FindingKind.DISK_CONTROLLER_UNSUPPORTED,
            "machine.disk_controller_type",
            "the image starts from SCSI alone",
        )
    if machine.hibernation and image.feature(_HIBERNATION) != "True":
        yield Finding(
            FindingKind.HIBERNATION_UNSUPPORTED,
            "machine.hibernation",
            f"the image does not have the feature {_HIBERNATION}",
        )
    if machine.accelerated_networking and image.feature(ACCELERATED_NETWORKING) != "True":
        yield Finding(
            FindingKind.ACCELERATED_NETWORKING_UNSUPPORTED,
            "machine.accelerated_networking",
            f"the image does not have the feature {ACCELERATED_NETWORKING}",
        )


def _purchase(image: Image, machine: MachineShape) -> Iterator[Finding]:
    field = "machine.purchase_plan"
    has, given = image.definition.purchase_plan, machine.purchase_plan
    if has is not None and given is None:
        yield Finding(
            FindingKind.PURCHASE_PLAN_REQUIRED,
            field,
            f"the image needs the plan {_plan(has)}",
        )
    elif given is not None and (has is None or _plan_key(given) != _plan_key(has)):
        needs = "has no plan" if has is None else f"needs the plan {_plan(has)}"
        yield Finding(FindingKind.PURCHASE_PLAN_MISMATCH, field, f"the image {needs}")
    if (has is not None or image.of_community) and not machine.accept_terms:
        of = "the publisher" if has is None else "the plan"
        yield Finding(
            FindingKind.TERMS_NOT_ACCEPTED,
            "machine.accept_terms",
            f"the terms of {of} are not accepted",
        )


def _scale(image: Image, deployment: Deployment) -> Iterator[Finding]:
    deleted = image.version.version_state is VersionState.SOFT_DELETED
    if deleted and deployment.kind is DeploymentKind.FLEXIBLE_SCALE_SET:
        yield Finding(
            FindingKind.SOFT_DELETED_IN_FLEXIBLE_SCALE_SET,
            "kind",
            "the version is soft-deleted, and a flexible scale set cannot use it",
        )
    if deployment.kind.is_scale_set and deployment.instance_count > MOST_IN_SCALE_SET:
        yield Finding(
            FindingKind.INSTANCE_COUNT_TOO_HIGH,
            "instance_count",
            f"a scale set holds at most {MOST_IN_SCALE_SET} machines",
        )
    if deleted:
        end = image.version.consumption_end_time
        until = f" and cannot be used after {end.isoformat()}" if end else ""
        yield Finding(FindingKind.SOFT_DELETED, "", f"the version is soft-deleted{until}")


def _advice(image: Image, machine: MachineShape) -> Iterator[Finding]:
    recommended = image.definition.recommended
    if recommended is not None:
        if _outside(machine.vcpus, recommended.vcpus):
            yield Finding(
                FindingKind.VCPUS_NOT_RECOMMENDED,
                "machine.vcpus",
                f"the image is made for {_range(recommended.vcpus)} virtual processors",
            )
        if _outside(machine.memory_gb, recommended.memory_gb):
            yield Finding(
                FindingKind.MEMORY_NOT_RECOMMENDED,
                "machine.memory_gb",
                f"the image is made for {_range(recommended.memory_gb)} GB of memory",
            )
    end = image.end_of_life_time
    if end is not None and end <= image.now:
        yield Finding(FindingKind.END_OF_LIFE_PASSED, "", f"the end of life was {end.isoformat()}")
    if image.definition.os_state is OsState.SPECIALIZED:
        yield Finding(
            FindingKind.SPECIALIZED_IDENTITY,
            "",
            "the machine starts with the computer name, the accounts and the secrets of the source",
        )


def _outside(value: float | None, bounds: ResourceRange | None) -> bool:
    if value is None or bounds is None:
        return False
    below = bounds.min is not None and value < bounds.min
    return below or (bounds.max is not None and value > bounds.max)


def _range(bounds: ResourceRange | None) -> str:
    if bounds is None:
        return "any number of"
    if bounds.max is None:
        return f"at least {bounds.min}"
    return f"at most {bounds.max}" if bounds.min is None else f"{bounds.min} to {bounds.max}"


def _plan(plan: PurchasePlan) -> str:
    return f"{plan.publisher}/{plan.product}/{plan.name}"


def _plan_key(plan: PurchasePlan) -> tuple[str, str, str]:
    return fold(plan.publisher), fold(plan.product), fold(plan.name)
