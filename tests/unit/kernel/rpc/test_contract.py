"""Every method of the contract has an access rule that a server can start with."""

import importlib
import json
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from services.kernel.rpc import validation
from services.kernel.rpc.access import Kind
from services.kernel.rpc.method_policy import Rule, policies
from services.kernel.rpc.service_config import service_config, timeouts

GEN = Path(__file__).resolve().parents[4] / "gen"


def services() -> list[str]:
    modules = [
        importlib.import_module(".".join(file.relative_to(GEN).with_suffix("").parts))
        for file in sorted((GEN / "stoa").rglob("*_service_pb2.py"))
    ]
    return [
        service.full_name
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
    ]


def test_every_method_has_a_usable_rule_and_rules_that_compile() -> None:
    names = services()
    found = policies(names, descriptor_pool.Default())
    assert {path.split("/")[1] for path in found} == set(names)
    validation.warm(GetMessageClass(one.descriptor.input_type) for one in found.values())


def test_a_service_call_has_a_deadline_unless_it_streams() -> None:
    found = policies(services(), descriptor_pool.Default())
    limits = timeouts(services())
    for path, policy in found.items():
        assert (limits[path] is None) == (policy.kind is Kind.STREAM)


def test_only_what_may_be_repeated_is_tried_again() -> None:
    config = json.loads(service_config(["stoa.authz.v1.SharingService"]))
    names = {one["method"] for one in config["methodConfig"][0]["name"]}
    found = policies(["stoa.authz.v1.SharingService"], descriptor_pool.Default())
    for path, policy in found.items():
        has_id = "request_id" in policy.descriptor.input_type.fields_by_name
        method = path.rpartition("/")[2]
        assert (method in names) == (policy.kind is not Kind.MUTATION or has_id)
        assert policy.rule is Rule.WORKLOAD
