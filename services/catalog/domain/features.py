"""The features of a definition: which there are, and what they may hold (gallery-semantics 1.2)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from services.catalog.domain import reasons
from services.catalog.domain.definition import Feature
from services.catalog.domain.gallery import SharingMode
from services.catalog.domain.hardware import HyperVGeneration
from services.catalog.domain.version import Number
from services.kernel.names import fold, parse_version
from services.kernel.violations import Violations

SECURITY_TYPE: Final = "SecurityType"
ACCELERATED_NETWORKING: Final = "IsAcceleratedNetworkSupported"
DISK_CONTROLLERS: Final = "DiskControllerTypes"
_BOOLEAN: Final = ("True", "False")
KNOWN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        SECURITY_TYPE: (
            "Standard",
            "TrustedLaunchSupported",
            "TrustedLaunch",
            "ConfidentialVMSupported",
            "ConfidentialVM",
            "TrustedLaunchAndConfidentialVmSupported",
        ),
        ACCELERATED_NETWORKING: _BOOLEAN,
        "IsHibernateSupported": _BOOLEAN,
        DISK_CONTROLLERS: ("SCSI", "SCSI, NVMe"),
    }
)
# Cannot be shared beyond those who hold roles (gallery-semantics 3.7).
PRIVATE_ONLY: Final = frozenset({"TrustedLaunch", "ConfidentialVM"})
CONFIDENTIAL: Final = frozenset(
    {"ConfidentialVMSupported", "ConfidentialVM", "TrustedLaunchAndConfidentialVmSupported"}
)

_NAMES: Final = {fold(name): name for name in KNOWN} | {
    # The documentation of the original writes it in the singular, every client the plural.
    "diskcontrollertype": DISK_CONTROLLERS
}


def canonical(
    sent: Sequence[Feature],
    generation: HyperVGeneration,
    field: str,
    violations: Violations,
) -> tuple[Feature, ...]:
    """Answer features in their own spelling, and note what is wrong with them."""
    found: dict[str, Feature] = {}
    for index, feature in enumerate(sent):
        path = f"{field}[{index}]"
        name = _NAMES.get(fold(feature.name))
        if name is None:
            _wrong(violations, f"{path}.name", f"there is no feature '{feature.name}'", feature)
            continue
        if name in found:
            _wrong(violations, f"{path}.name", f"{name} is given twice", feature)
            continue
        value = _value(name, feature.value)
        if value is None:
            listed = " or ".join(f"'{one}'" for one in KNOWN[name])
            _wrong(violations, f"{path}.value", f"{name} is {listed}", feature)
            continue
        if name == SECURITY_TYPE and value != "Standard" and generation is HyperVGeneration.V1:
            _wrong(violations, f"{path}.value", f"{value} needs generation V2", feature)
        found[name] = Feature(name, value, feature.starts_at_version)
    return tuple(found.values())


def in_force(features: Sequence[Feature], number: Number) -> tuple[Feature, ...]:
    """Answer the features that a version of this number has: some begin with a later one."""
    return tuple(
        one
        for one in features
        if not one.starts_at_version or parse_version(one.starts_at_version) <= number
    )


def value_of(features: Sequence[Feature], name: str) -> str:
    """Answer the value of a feature, empty where it is not given."""
    return next((one.value for one in features if one.name == name), "")


def security_type(features: Sequence[Feature]) -> str:
    """Answer the security type, `Standard` where none is given."""
    return value_of(features, SECURITY_TYPE) or "Standard"


def check_sharing(
    features: Sequence[Feature], mode: SharingMode, resource: str, violations: Violations
) -> None:
    """Note a security type that may not be in a gallery of this mode."""
    value = security_type(features)
    if mode is not SharingMode.PRIVATE and value in PRIVATE_ONLY:
        violations.precondition(
            reasons.SHARING_FORBIDS_FEATURE,
            resource,
            f"an image of the security type {value} cannot be in a gallery of mode {mode.value}",
            reason=reasons.SHARING_FORBIDS_FEATURE,
            metadata={"resource": resource, "feature": SECURITY_TYPE},
        )


def _value(name: str, text: str) -> str | None:
    wanted = fold(text).replace(" ", "")
    return next((one for one in KNOWN[name] if fold(one).replace(" ", "") == wanted), None)


def _wrong(violations: Violations, field: str, problem: str, feature: Feature) -> None:
    violations.add(
        field, problem, reason=reasons.FEATURE_INVALID, metadata={"feature": feature.name}
    )
