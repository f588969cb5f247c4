"""What the contract demands is what may be asked about."""

import importlib
from pathlib import Path

import pytest
import stoa.authz.v1
from google.protobuf import descriptor_pool
from stoa.type.v1 import method_policy_pb2

from services.policy.actions import KNOWN, ActionRegistry
from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.matching import matches
from services.policy.model import Plane

GENERATED = Path(next(iter(stoa.authz.v1.__path__))).parent.parent


def demanded() -> set[str]:
    pool = descriptor_pool.Default()
    found: set[str] = set()
    for path in GENERATED.glob("*/v1/*_service_pb2.py"):
        module = importlib.import_module(f"stoa.{path.parts[-3]}.v1.{path.stem}")
        described = pool.FindFileByName(module.DESCRIPTOR.name)
        for service in described.services_by_name.values():
            for method in service.methods:
                policy = method.GetOptions().Extensions[method_policy_pb2.policy]
                found.update({policy.action, *policy.further_actions} - {""})
    return found


def test_every_action_of_the_contract_is_known_as_it_is_spelled():
    actions = demanded()
    assert len(actions) > 50
    assert actions <= set(KNOWN.names())


def test_no_action_is_known_that_nothing_demands():
    # Polling an operation is one's own; the action stays, since roles are written with it.
    spare = {"Microsoft.Compute/locations/capsOperations/read"}
    assert set(KNOWN.names()) - demanded() == spare


def test_actions_are_found_in_any_case_and_by_nothing_else():
    for text in ("microsoft.compute/GALLERIES/Read", "Microsoft.Compute/galleries/read"):
        assert KNOWN.find(text) == "microsoft.compute/galleries/read"
    for text in ("", "*", "Microsoft.Compute/*", "Microsoft.Compute/galleries", "x/read"):
        assert KNOWN.find(text) is None
    assert KNOWN.find("Microsoft.Compute/galleries/read", Plane.DATA) is None


def test_planes_are_apart():
    registry = ActionRegistry(control=("A/read",), data=("B/read",))
    assert registry.find("a/read") == "a/read"
    assert registry.find("a/read", Plane.DATA) is None
    assert registry.find("b/READ", Plane.DATA) == "b/read"


@pytest.mark.parametrize("action", KNOWN.names())
def test_every_action_is_held_by_a_built_in_role_besides_owner(action):
    # An action that only `*` covers is most likely misspelled.
    patterns = [
        pattern
        for role in BUILT_IN_ROLES
        for permissions in role.permissions
        for pattern in permissions.actions
        if pattern not in {"*", "*/read"}
    ]
    covered = any(matches(pattern, action) for pattern in patterns)
    assert covered or action in ONLY_OWNERS


ONLY_OWNERS = {
    *(f"Microsoft.Compute/snapshots/{verb}" for verb in ("read", "write", "delete")),
    *(f"Microsoft.Compute/diskEncryptionSets/{verb}" for verb in ("read", "write", "delete")),
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
}
