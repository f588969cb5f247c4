"""Doors that are not for everybody: methods for services, other certificates, headers, tokens."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import stoa
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stoa.catalog.v1 import (
    gallery_service_pb2,
)
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.type.v1 import method_policy_pb2

from cli.installation import pki
from cli.installation.identity import make_token
from cli.installation.layout import Layout
from tests.system.errors import refusal
from tests.system.installation import Installation
from tests.system.test_contract import SERVICES, call, methods, named
from tests.system.victims import Victim, make_victim

pytestmark = pytest.mark.timeout(300)

WORKLOADS: Final = ("catalog", "replication", "authz")
DENIED: Final = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def victim(installation: Installation) -> Victim:
    return make_victim(installation)


def every_method() -> Iterator[tuple[str, MethodDescriptor, Any]]:
    """All methods of all services with who serves them and their access rule."""
    (root,) = stoa.__path__
    for service in SERVICES:
        for file in sorted(Path(root, service, "v1").glob("*_service_pb2.py")):
            found = importlib.import_module(f"stoa.{service}.v1.{file.stem}").DESCRIPTOR
            for proto in found.services_by_name.values():
                for method in proto.methods:
                    yield service, method, method.GetOptions().Extensions[method_policy_pb2.policy]


def empty(method: MethodDescriptor) -> Message:
    return GetMessageClass(method.input_type)()


def test_no_method_for_services_exists_for_clients(installation: Installation) -> None:
    owner = installation.client()
    found = {
        method.full_name: refused.code
        if (refused := call(channel, method, empty(method)))
        else "OK"
        for service, method, policy in every_method()
        for channel in (owner.channel(service),)
        if policy.rule == method_policy_pb2.ACCESS_RULE_WORKLOAD
    }
    assert len(found) >= 15
    assert set(found.values()) == {grpc.StatusCode.UNIMPLEMENTED}, found


def internal(
    installation: Installation, service: str, pems: Layout | None, workload: str = ""
) -> grpc.Channel:
    """A channel to an internal listener, with a certificate of a workload if one is named."""
    address = str(installation.layout.read_config()[service]["internal_listen"])
    authority = installation.layout.ca_certificate.read_bytes()
    if pems is None:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority))
    key, certificate = pems.key(workload).read_bytes(), pems.certificate(workload).read_bytes()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, certificate))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("certificate", ["none", "of another authority"])
def test_t31_the_door_for_services_needs_a_certificate_of_this_installation(
    installation: Installation, tmp_path: Path, service: str, certificate: str
) -> None:
    foreign = None
    if certificate != "none":
        foreign = Layout(tmp_path)
        pki.write_pki(foreign, dict.fromkeys(WORKLOADS, ()))
    method = next(method for served, method, _ in every_method() if served == service)
    with internal(installation, service, foreign, "catalog") as channel:
        refused = call(channel, method, empty(method))
    assert refused is not None
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    with internal(installation, service, installation.layout, "catalog") as channel:
        known = call(channel, method, empty(method))
    assert known is None or known.code is not grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("workload", WORKLOADS)
def test_t15_a_workload_may_call_what_lists_it_and_what_is_everybodys(
    installation: Installation, workload: str
) -> None:
    listed, entered = set(), {}
    for service in SERVICES:
        with internal(installation, service, installation.layout, workload) as channel:
            for served, method, policy in every_method():
                if served != service or method.server_streaming:
                    continue
                refused = call(channel, method, empty(method))
                code = refused.code if refused else grpc.StatusCode.OK
                if code is grpc.StatusCode.UNIMPLEMENTED:
                    continue
                if workload in policy.workloads:
                    listed.add(method.full_name)
                    assert code is not DENIED, method.full_name
                elif policy.rule != method_policy_pb2.ACCESS_RULE_OWN and code is not DENIED:
                    entered[method.full_name] = code
    assert entered == {}
    # What lists authz is served on its feed, to its own processes.
    assert listed or workload == "authz"


@pytest.mark.parametrize(
    "header",
    [
        ("x-user", "owner"),
        ("x-internal-user", "owner"),
        ("x-ms-client-principal-id", "owner"),
        ("x-stoa-workload", "catalog"),
        ("peer_spiffe_id", "spiffe://stoa/svc/catalog"),
        ("x-forwarded-client-cert", "URI=spiffe://stoa/svc/catalog;Subject=CN=owner"),
    ],
    ids=lambda header: header[0],
)
def test_t10_no_header_makes_a_caller_somebody_else(
    installation: Installation, victim: Victim, header: tuple[str, str]
) -> None:
    nobody = installation.client("nobody")
    request = gallery_service_pb2.GetGalleryRequest(name=victim.private.gallery)
    found = refusal(nobody.of(GalleryServiceStub).GetGallery, request, metadata=[header])
    assert found.code is DENIED


@pytest.mark.parametrize("audience", SERVICES)
def test_t11_a_token_for_one_service_opens_no_other(
    installation: Installation, audience: str
) -> None:
    view = installation.view
    token = make_token(
        installation.layout,
        subject=view.owner,
        tenant=view.tenant,
        audiences=(f"{audience}.stoa.dev",),
    )
    client = installation.client(token=token)
    for service in SERVICES:
        method = next(methods(service))
        found = call(client.channel(service), method, named(method))
        code = found.code if found else grpc.StatusCode.OK
        assert (code is grpc.StatusCode.UNAUTHENTICATED) == (service != audience)


def test_a_user_whom_the_directory_does_not_know_holds_nothing(
    installation: Installation, victim: Victim
) -> None:
    ghost = installation.client("ghost")
    stub = ghost.of(GalleryServiceStub)
    request = gallery_service_pb2.GetGalleryRequest(name=victim.private.gallery)
    assert refusal(stub.GetGallery, request).code is DENIED
    everywhere = gallery_service_pb2.ListGalleriesRequest(parent="subscriptions/-/resourceGroups/-")
    assert not stub.ListGalleries(everywhere).galleries
