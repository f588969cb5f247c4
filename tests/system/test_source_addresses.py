"""Threat T4: no address in a request makes a service connect to it."""

import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc
import pytest

from tests.addresses import ADDRESSES
from tests.system.errors import Refusal
from tests.system.installation import Installation
from tests.system.publishing import (
    HOME,
    Shop,
    grant,
    make_group,
    make_shop,
    make_subscription,
    make_user,
    principal,
    unique,
)
from tests.system.seeding import _METHODS, _request
from tests.system.test_contract import DEFECTS, call

pytestmark = pytest.mark.timeout(300)

LINUX: Final = {"os_type": "OS_TYPE_LINUX", "os_state": "OS_STATE_GENERALIZED"}
ELSEWHERE: Final = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
}


class Canary:
    """Listens where the addresses lead, and counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        # On every address of this machine, of both families.
        self._socket: Final = socket.create_server(
            ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
        )
        self.port: Final = int(self._socket.getsockname()[1])
        self._thread: Final = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def knock(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            # It has been counted once the other side has closed.
            assert connection.recv(1) == b""

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def canary() -> Iterator[Canary]:
    found = Canary()
    yield found
    found.close()


def sources(shop: Shop, address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests in which a source lies at an address."""
    account = f"{shop.group}/storageAccounts/absent"
    vhds = [
        {"storage_account": account, "path": address},
        {"storage_account": address, "path": "os.vhd"},
    ]
    values: list[tuple[str, dict[str, Any]]] = [
        ("StorageAccount", {"store": address}),
        ("DiskEncryptionSet", {"location": address, "key_uri": "https://v.example/k/1"}),
        *(("VirtualMachine", {**LINUX, "os_disk": {"vhd": vhd}}) for vhd in vhds),
        *(("ManagedImage", {**LINUX, "vhds": {"os_vhd": vhd}}) for vhd in vhds),
        ("ManagedImage", {**LINUX, "blobs": {"os_blob": address}}),
        *(("ManagedImage", {one: address}) for one in ("disk", "snapshot", "virtual_machine")),
        ("Disk", {"blob": address}),
        ("Snapshot", {"blob": address}),
    ]
    for kind, value in values:
        words = "".join(f"_{one.lower()}" if one.isupper() else one for one in kind)[1:]
        fields = {"parent": shop.group, f"{words}_id": unique("x")}
        yield f"{kind}Service.Create{kind}", {**fields, words: {"location": HOME, **value}}
    whole = ("virtual_machine", "managed_image", "image_version")
    profiles: list[dict[str, Any]] = [{"source": {one: address}} for one in whole]
    parts: list[dict[str, Any]] = [{"snapshot": address}, {"blob": address}, {"disk": address}]
    parts += [{"vhd": vhd} for vhd in vhds]
    profiles += [{"os_disk_image": {"source": one}} for one in parts]
    for profile in profiles:
        targets = {"target_regions": [{"location": HOME}]}
        version = {"location": HOME, "storage_profile": profile, **targets}
        yield (
            "ImageVersionService.CreateImageVersion",
            {"parent": shop.definition, "image_version_id": "7.0.0", "image_version": version},
        )
    yield "ImageVersionService.ResolveImageVersion", {"image": address, "location": HOME}
    disk = {"name": address, "location": HOME, "disk": {"os": True}}
    yield "ImageDiskService.ReadDisk", disk
    yield "ImageDiskService.OpenDisk", {**disk, "length_bytes": 4096}
    blob = {"parent": shop.group, "blob_id": unique("x"), "blob": {"location": address}}
    yield "BlobService.CreateBlob", blob
    region = {"display_name": unique("Far"), "slots": [{"id": "a", "store_url": address}]}
    yield "RegionService.CreateRegion", {"region_id": unique("far"), "region": region}


def texts(shop: Shop, address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests that tell people of an address, which nobody here has reason to open."""
    community = {
        "publisher_uri": address,
        "publisher_contact": address,
        "eula": address,
        "public_name_prefix": "canary",
        "privacy_statement_uri": address,
    }
    profile = {"mode": "SHARING_MODE_COMMUNITY", "community_gallery_info": community}
    gallery = {"location": HOME, "sharing_profile": profile, "description": address}
    yield (
        "GalleryService.CreateGallery",
        {"parent": shop.group, "gallery_id": unique("g"), "gallery": gallery},
    )
    definition = {
        "location": HOME,
        **LINUX,
        "identifier": {"publisher": "contoso", "offer": "linux", "sku": unique("sku")},
        "privacy_statement_uri": address,
        "release_note_uri": address,
        "eula": address,
    }
    yield (
        "ImageDefinitionService.CreateImageDefinition",
        {
            "parent": shop.gallery,
            "image_definition_id": unique("i"),
            "image_definition": definition,
        },
    )
    keys = {"location": HOME, "key_uri": address}
    yield (
        "DiskEncryptionSetService.CreateDiskEncryptionSet",
        {"parent": shop.group, "disk_encryption_set_id": unique("k"), "disk_encryption_set": keys},
    )


def test_t4_no_address_in_a_request_is_connected_to(
    installation: Installation, canary: Canary
) -> None:
    subscription, user = make_subscription(installation), make_user(installation, "mallory")
    grant(installation, principal(user), "Owner", subscription)
    client = installation.client(user)
    shop = make_shop(client, group=make_group(client, subscription))

    def sent(name: str, fields: Mapping[str, Any]) -> Refusal | None:
        service, method = _METHODS[name]
        return call(client.channel(service), method, _request(method, fields))

    refused = 0
    for address in (one.replace("{port}", str(canary.port)) for one in ADDRESSES):
        for name, fields in sources(shop, address):
            found = sent(name, fields)
            assert found is not None, f"{name} takes {address}"
            assert found.code in ELSEWHERE, f"{name} of {address}: {found.code} {found.message}"
            refused += 1
        for name, fields in texts(shop, address):
            found = sent(name, fields)
            assert found is None or found.code not in DEFECTS, f"{name} of {address}"
    assert refused >= 25 * len(ADDRESSES)
    assert canary.visits == 0
    # It would have told.
    canary.knock()
    assert canary.visits == 1
