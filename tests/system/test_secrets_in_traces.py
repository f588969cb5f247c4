"""Threat T29: what opens something stands in no log and in no span."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from cli.installation.layout import SERVICES
from services.kernel.telemetry.trace import TraceContext
from tests.system.errors import Refusal
from tests.system.installation import SUBSCRIPTION, TENANT, Client, Installation, eventually
from tests.system.publishing import HOME, make_shop, unique
from tests.system.seeding import _METHODS, _request
from tests.system.test_contract import call

pytestmark = pytest.mark.timeout(300)

# What a secret is made of here, whatever is around it.
CANARY: Final = "c4n4ryc4n4ryc4n4ry"
SAS: Final = f"https://store.example.org/vhds/os.vhd?sv=2024-11-04&sp=r&sig={CANARY}%2F%3D"
SIGNED: Final = (
    SAS,
    f"https://bucket.example.org/os.vhd?X-Amz-Expires=60&X-Amz-Signature={CANARY}",
    f"https://bucket.example.org/os.vhd?X-Amz-Security-Token={CANARY}&X-Amz-Expires=60",
    f"https://bucket.example.org/os.vhd?X-Goog-Signature={CANARY}",
    f"https://user:{CANARY}@store.example.org/os.vhd",
    f"Bearer {CANARY}",
    f"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.{CANARY}",
)
STORES: Final = (
    f"s3://AKIAEXAMPLE:{CANARY}@bucket/prefix",
    # Its secret is not percent-encoded.
    f"s3://AKIAEXAMPLE:{CANARY}/x@bucket/prefix",
    f"s3://bucket/prefix?secret_access_key={CANARY}",
    f"s3://bucket/prefix?nonsense={CANARY}",
    f"az://account:{CANARY}@container/prefix",
    f"az://container?sas_token=sig%3D{CANARY}",
    f"gs://bucket?service_account_key={CANARY}",
    f"ftp://user:{CANARY}@bucket/prefix",
)
HEADERS: Final = (
    ("authorization", f"Bearer {CANARY}"),
    ("authorization", f"Basic {CANARY}"),
    ("x-stoa-authorization-auxiliary", f"Bearer eyJ9.eyJ9.{CANARY}"),
    ("x-consistency-token", CANARY),
    ("cookie", f"session={CANARY}"),
    ("x-api-key", CANARY),
    ("tracestate", f"vendor={CANARY}"),
    ("baggage", f"token={CANARY}"),
)


def requests(group: str, definition: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests that hold secrets where people have pasted them by mistake, and where they may."""
    for url in STORES:
        slots = [{"id": "a", "store_url": url}]
        region = {"display_name": unique("Far"), "slots": slots}
        made = {"region_id": unique("far"), "region": region, "validate_only": True}
        yield "RegionService.CreateRegion", made
    account = f"{group}/storageAccounts/absent"
    disk = {"vhd": {"storage_account": account, "path": SAS.partition("://")[2]}}
    linux = {"os_type": "OS_TYPE_LINUX", "os_state": "OS_STATE_GENERALIZED"}
    for text in SIGNED:
        machine = {"location": HOME, **linux, "os_disk": disk, "size": text[:60]}
        made = {"parent": group, "virtual_machine_id": unique("x"), "virtual_machine": machine}
        yield "VirtualMachineService.CreateVirtualMachine", made
        yield "VirtualMachineService.GetVirtualMachine", {"name": f"{group}/virtualMachines/{text}"}
        version = {"location": HOME, "storage_profile": {"source": {"managed_image": text}}}
        made = {"parent": definition, "image_version_id": "9.0.0", "image_version": version}
        yield "ImageVersionService.CreateImageVersion", made
        yield "ImageVersionService.ResolveImageVersion", {"image": text, "location": HOME}
        quoted = text.replace('"', "")
        for filtered in (f'name = "{quoted}"', f"{quoted} =", f'"{quoted}"'):
            yield "GalleryService.ListGalleries", {"parent": group, "filter": filtered}
        yield "GalleryService.ListGalleries", {"parent": group, "page_token": text}
        yield "GalleryService.ListGalleries", {"parent": group, "order_by": text}
        place = f"{SUBSCRIPTION}/locations/{HOME}"
        search = {"parent": place, "query": text[:200]}
        yield "CommunityGalleryService.SearchCommunityGalleries", search
        blob = {"parent": group, "blob_id": unique("b"), "blob": {"location": text}}
        yield "BlobService.CreateBlob", blob
        check = {"action": text, "resource": group}
        yield "AuthorizationService.Check", check
        yield "DirectoryService.GetUser", {"name": f"{TENANT}/users/{text}"}
    secret = {"gallery": {"name": f"{group}/galleries/none", "description": SAS}}
    yield "GalleryService.UpdateGallery", secret


def written(installation: Installation) -> dict[str, str]:
    """All that the services have written about what they did."""
    found = {service: installation.layout.log(service).read_text() for service in SERVICES}
    found["spans"] = spans_of(installation).read_text()
    return found


def spans_of(installation: Installation) -> Path:
    return installation.layout.data.parent / "spans.jsonl"


@contextmanager
def calling(installation: Installation, *headers: tuple[str, str]) -> Iterator[Client]:
    """A client that sends these headers, and no other."""
    client = Client(dict(installation.view.endpoints), lambda: list(headers))
    yield client
    client.close()


def send(client: Client, name: str, fields: dict[str, Any]) -> Refusal | None:
    service, method = _METHODS[name]
    return call(client.channel(service), method, _request(method, fields))


def test_t29_secrets_stand_in_no_log_and_in_no_span(installation: Installation) -> None:
    shop = make_shop(installation.client())
    token = installation.token()
    bearer = ("authorization", f"Bearer {token}")
    first, last = (TraceContext.fresh(sampled=True) for _ in range(2))
    sampled = ("traceparent", first.header())
    firsts = [next(one for one in _METHODS if _METHODS[one][0] == service) for service in SERVICES]

    codes = set()
    with calling(installation, bearer, sampled) as client:
        for name, fields in requests(shop.group, shop.definition):
            found = send(client, name, fields)
            codes.add("OK" if found is None else found.code.name)
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= codes
    for header in HEADERS:
        sent = [sampled, header] if header[0] == "authorization" else [sampled, bearer, header]
        with calling(installation, *sent) as client:
            for name in firsts:
                found = send(client, name, {})
                assert found is None or CANARY not in f"{found.message} {found.details}"

    # Lines and spans are written in the background, in their order.
    with calling(installation, bearer, ("traceparent", last.header())) as client:
        for name in firsts:
            send(client, name, {})

    def told() -> set[str]:
        spans = map(json.loads, spans_of(installation).read_text().splitlines())
        return {one["service"] for one in spans if one["trace_id"] == last.trace_id}

    eventually(lambda: len(told()) == len(SERVICES), "the spans are written")
    texts = written(installation)
    # Something was written about these calls, so that it could have held what they held.
    assert first.trace_id in texts["spans"]
    assert all(first.trace_id in texts[service] for service in SERVICES)
    for where, text in texts.items():
        for line in text.splitlines():
            for secret in (CANARY, *token.split(".")[1:]):
                assert secret not in line, f"{where}: {line}"
