"""Features of definitions."""

import pytest

from services.catalog.domain.definition import Feature
from services.catalog.domain.features import (
    KNOWN,
    canonical,
    check_sharing,
    redefined,
    security_type,
)
from services.catalog.domain.gallery import SharingMode
from services.catalog.domain.hardware import HyperVGeneration
from services.kernel.violations import Violations

V1, V2 = HyperVGeneration.V1, HyperVGeneration.V2


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in KNOWN.items() for value in values]
)
def test_every_feature_is_taken_without_case_and_answered_in_its_spelling(
    name: str, value: str
) -> None:
    violations = Violations()
    sent = [Feature(name.upper(), value.lower(), "2.0.0")]
    assert canonical(sent, V2, "features", violations) == (Feature(name, value, "2.0.0"),)
    assert not violations


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ([Feature("Other", "True")], "features[0].name"),
        ([Feature("IsHibernateSupported", "Maybe")], "features[0].value"),
        ([Feature("SecurityType", "TrustedLaunch")], "features[0].value"),
        (
            [Feature("SecurityType", "Standard"), Feature("securityType", "Standard")],
            "features[1].name",
        ),
    ],
)
def test_what_is_wrong_with_a_feature_is_named(sent: list[Feature], field: str) -> None:
    violations = Violations()
    canonical(sent, V1, "features", violations)
    assert [(one.field, one.reason) for one in violations.fields] == [(field, "FEATURE_INVALID")]


@pytest.mark.parametrize(
    ("value", "mode", "refused"),
    [
        ("TrustedLaunch", SharingMode.PRIVATE, False),
        ("TrustedLaunch", SharingMode.GROUPS, True),
        ("ConfidentialVM", SharingMode.COMMUNITY, True),
        ("TrustedLaunchSupported", SharingMode.COMMUNITY, False),
    ],
)
def test_some_security_types_stay_private(value: str, mode: SharingMode, refused: bool) -> None:
    violations = Violations()
    check_sharing([Feature("SecurityType", value)], mode, "r", violations)
    assert bool(violations.preconditions) is refused


def test_a_definition_without_one_has_the_standard_security_type() -> None:
    assert security_type([]) == "Standard"


H = "IsHibernateSupported"


@pytest.mark.parametrize(
    ("before", "after", "ranges"),
    [
        ([], [Feature(H, "True")], [(H, (0, 0, 0), None)]),
        ([], [Feature(H, "True", "2.0.0")], [(H, (2, 0, 0), None)]),
        ([], [Feature(H, "False")], []),
        ([Feature(H, "True", "2.0.0")], [], [(H, (2, 0, 0), None)]),
        (
            [Feature(H, "True", "2.0.0")],
            [Feature(H, "True", "3.0.0")],
            [(H, (2, 0, 0), (3, 0, 0))],
        ),
        ([Feature(H, "True", "02.0.0")], [Feature(H, "True", "2.0.0")], []),
        (
            [Feature("SecurityType", "TrustedLaunch")],
            [Feature("SecurityType", "Standard", "1.5.0")],
            [
                ("SecurityType", (0, 0, 0), (1, 5, 0)),
                ("SecurityType", (1, 5, 0), None),
            ],
        ),
    ],
)
def test_a_change_means_another_value_for_some_numbers(
    before: list[Feature], after: list[Feature], ranges: list[object]
) -> None:
    assert list(redefined(before, after)) == ranges
