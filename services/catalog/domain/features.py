"""The features of a definition: which there are, and what they may hold (gallery-semantics 1.2)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
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
# The first value of each feature is what an image has that does not give it.
_BOOLEAN: Final = ("False", "True")
_FIRST: Final[Number] = (0, 0, 0)
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
    *,
    stored: bool = False,
) -> tuple[Feature, ...]:
    """Answer features in their own spelling, and note what is wrong with them.

    `stored` says that the generation is not the request's, which then shows no fault by itself.
    """
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
            _needs_v2(violations, f"{path}.value", Feature(name, value), stored=stored)
        if feature.starts_at_version and not violations.has_field(f"{path}.starts_at_version"):
            with violations.collect():
                parse_version(feature.starts_at_version, field=f"{path}.starts_at_version")
        found[name] = Feature(name, value, feature.starts_at_version)
    return tuple(found.values())


def in_force(features: Sequence[Feature], number: Number) -> tuple[Feature, ...]:
    """Answer the features that a version of this number has: some begin with a later one."""
    return tuple(
        one
        for one in features
        if not one.starts_at_version or parse_version(one.starts_at_version) <= number
    )


def redefined(
    before: Sequence[Feature], after: Sequence[Feature]
) -> Iterator[tuple[str, Number, Number | None]]:
    """Answer for which numbers a change of features means another value than before.

    Each is the name of a feature, the first number, and the one where it ends, None for never.
    A feature that is not in force has the value of one that was never given.
    """
    for name, values in KNOWN.items():
        both = (*before, *after)
        starts = {_start(one) for one in both if one.name == name} | {_FIRST}
        numbers = sorted(starts)
        for low, high in zip_longest(numbers, numbers[1:]):
            was = value_of(in_force(before, low), name) or values[0]
            is_now = value_of(in_force(after, low), name) or values[0]
            if was != is_now:
                yield name, low, high


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


def _start(feature: Feature) -> Number:
    return parse_version(feature.starts_at_version) if feature.starts_at_version else _FIRST


def _value(name: str, text: str) -> str | None:
    wanted = fold(text).replace(" ", "")
    return next((one for one in KNOWN[name] if fold(one).replace(" ", "") == wanted), None)


def _needs_v2(violations: Violations, field: str, feature: Feature, *, stored: bool) -> None:
    problem = f"{feature.value} needs generation V2"
    if not stored:
        _wrong(violations, field, problem, feature)
        return
    reason = reasons.FEATURE_INVALID
    metadata = {"feature": feature.name}
    violations.precondition(reason, field, problem, reason=reason, metadata=metadata)


def _wrong(violations: Violations, field: str, problem: str, feature: Feature) -> None:
    violations.add(
        field, problem, reason=reasons.FEATURE_INVALID, metadata={"feature": feature.name}
    )
