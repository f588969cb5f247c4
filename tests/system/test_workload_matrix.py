"""Threats T10 and T15: which service may call which method, by the contract alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from stoa.authz.v1 import directory_service_pb2_grpc, user_pb2
from stoa.catalog.v1 import gallery_service_pb2, gallery_service_pb2_grpc
from stoa.replication.v1 import blob_service_pb2, blob_service_pb2_grpc
from stoa.type.v1 import method_policy_pb2

from cli.installation import pki
from cli.installation.layout import Layout
from tests.system.errors import refusal
from tests.system.installation import TENANT, Installation
from tests.system.publishing import make_shop
from tests.system.test_contract import DEFECTS, SERVICES, call
from tests.system.test_hostile import WORKLOADS, empty, every_method

pytestmark = pytest.mark.timeout(300)

Code: Final = grpc.StatusCode
# Has a certificate of the installation and stands in no list.
STRANGER: Final = "stranger"
HEADERS: Final = (
    ("x-user", "{name}"),
    ("x-user-id", "{name}"),
    ("x-internal-user", "{name}"),
    ("x-internal-workload", "{name}"),
    ("x-ms-client-principal-id", "{name}"),
    ("x-ms-client-principal-name", "{name}"),
    ("x-stoa-workload", "{name}"),
    ("x-goog-authenticated-user-id", "{name}"),
    ("x-forwarded-user", "{name}"),
    ("forwarded", "for={name}"),
    ("peer_spiffe_id", "spiffe://stoa/svc/{name}"),
    ("x-forwarded-client-cert", "URI=spiffe://stoa/svc/{name};Subject=CN={name}"),
    ("proxy-authorization", "Basic {name}"),
)


@pytest.fixture(scope="module")
def pems(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Certificates of the installation's authority, for one service more than it has."""
    found, theirs = Layout(tmp_path_factory.mktemp("pki")), installation.layout
    found.ca_certificate.parent.mkdir(parents=True, exist_ok=True)
    for mine, file in (
        (found.key("ca"), theirs.key("ca")),
        (found.ca_certificate, theirs.ca_certificate),
    ):
        shutil.copyfile(file, mine)
    pki.write_pki(found, dict.fromkeys((*WORKLOADS, STRANGER), ()))
    return found


def doors(installation: Installation, service: str) -> list[str]:
    """The addresses at which a service lets other services in."""
    config = installation.layout.read_config()[service]
    names = [name for name in config if name.endswith("_listen") and name != "client_listen"]
    assert "internal_listen" in names
    return [str(config[name]) for name in names]


def entering(installation: Installation, pems: Layout, service: str, workload: str) -> Any:
    """Channels to all doors of a service, as a workload."""
    credentials = grpc.ssl_channel_credentials(
        pems.ca_certificate.read_bytes(),
        pems.key(workload).read_bytes(),
        pems.certificate(workload).read_bytes(),
    )
    return [grpc.secure_channel(one, credentials) for one in doors(installation, service)]


def answered(channels: Any, method: MethodDescriptor) -> set[grpc.StatusCode]:
    """How a method answers at the doors that have it."""
    found = (call(channel, method, empty(method)) for channel in channels)
    codes = {one.code if one else Code.OK for one in found}
    return codes - {Code.UNIMPLEMENTED}


@pytest.mark.parametrize("workload", [*WORKLOADS, STRANGER])
def test_t15_a_workload_is_let_in_where_the_contract_lists_it_and_nowhere_else(
    installation: Installation, pems: Layout, workload: str
) -> None:
    let_in, kept_out = set(), set()
    for service in SERVICES:
        channels = entering(installation, pems, service, workload)
        for served, method, policy in every_method():
            name = method.full_name
            if served != service:
                continue
            codes = answered(channels, method)
            assert codes, f"{name} is served nowhere"
            assert not codes & DEFECTS, f"{name}: {codes}"
            if workload in policy.workloads:
                assert not codes & {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}, name
                let_in.add(name)
            elif policy.workloads or policy.rule != method_policy_pb2.ACCESS_RULE_OWN:
                assert codes == {Code.PERMISSION_DENIED}, f"{name}: {codes}"
                kept_out.add(name)
        for channel in channels:
            channel.close()
    listed = {
        method.full_name for _, method, policy in every_method() if workload in policy.workloads
    }
    assert let_in == listed
    assert len(kept_out) >= 100
    assert bool(let_in) == (workload != STRANGER)


def headers(name: str) -> Iterator[tuple[str, str]]:
    yield from ((header, text.replace("{name}", name)) for header, text in HEADERS)


def test_t10_no_header_at_a_door_for_clients_makes_a_caller_somebody_else(
    installation: Installation,
) -> None:
    owner, nobody = installation.client(), installation.client("nobody")
    shop, me = make_shop(owner), installation.view.owner
    asked: tuple[tuple[Any, str, Any], ...] = (
        (
            gallery_service_pb2_grpc.GalleryServiceStub,
            "GetGallery",
            gallery_service_pb2.GetGalleryRequest(name=shop.gallery),
        ),
        (
            blob_service_pb2_grpc.BlobServiceStub,
            "ListBlobs",
            blob_service_pb2.ListBlobsRequest(parent=shop.group),
        ),
        (
            directory_service_pb2_grpc.DirectoryServiceStub,
            "ListUsers",
            user_pb2.ListUsersRequest(parent=TENANT),
        ),
    )
    for stub, method, request in asked:
        for header in headers(me):
            found = refusal(getattr(nobody.of(stub), method), request, metadata=[header])
            assert found.code is Code.PERMISSION_DENIED, header
        for header in headers("nobody"):
            assert getattr(owner.of(stub), method)(request, metadata=[header]) is not None


def test_t10_no_header_at_a_door_for_services_makes_a_workload_another_one(
    installation: Installation, pems: Layout
) -> None:
    tried = set()
    for service in SERVICES:
        for workload, claimed in ((STRANGER, "catalog"), ("catalog", STRANGER)):
            channels = entering(installation, pems, service, workload)
            for served, method, policy in every_method():
                if served != service:
                    continue
                if "catalog" not in policy.workloads or method.server_streaming:
                    continue
                for header in headers(claimed):
                    for channel in channels:
                        code = sent(channel, method, header)
                        if code is not Code.UNIMPLEMENTED:
                            refused = code is Code.PERMISSION_DENIED
                            assert refused == (workload == STRANGER), (method.full_name, header)
                            tried.add((service, workload))
            for channel in channels:
                channel.close()
    assert tried == {
        (service, workload)
        for service in ("replication", "authz")
        for workload in (STRANGER, "catalog")
    }


def sent(
    channel: grpc.Channel, method: MethodDescriptor, header: tuple[str, str]
) -> grpc.StatusCode:
    path = f"/{method.containing_service.full_name}/{method.name}"
    serialize = type(empty(method)).SerializeToString
    send: Any = channel.unary_unary(path, request_serializer=serialize)
    try:
        send(empty(method), timeout=20, metadata=[header])
    except grpc.RpcError as error:
        found: Any = error
        code: grpc.StatusCode = found.code()
        return code
    return Code.OK


def test_t15_a_certificate_of_another_trust_domain_is_nobody(
    installation: Installation, pems: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Layout(tmp_path)
    theirs.ca_certificate.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pems.key("ca"), theirs.key("ca"))
    shutil.copyfile(pems.ca_certificate, theirs.ca_certificate)
    monkeypatch.setattr(pki, "TRUST_DOMAIN", "elsewhere")
    pki.write_pki(theirs, dict.fromkeys(WORKLOADS, ()))
    for service in SERVICES:
        channels = entering(installation, theirs, service, "catalog")
        for served, method, _ in every_method():
            if served == service and not method.client_streaming:
                codes = answered(channels, method)
                assert codes <= {Code.UNAUTHENTICATED}, f"{method.full_name}: {codes}"
        for channel in channels:
            channel.close()
