"""Grants are fresh, exact, and read by the replication service."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cli.installation.identity import public_jwk
from cli.installation.pki import new_key_pem
from services.catalog.clients.grants import LIFE, GrantSigner, thumbprint
from services.catalog.domain.desired import Authority, Desired, WantedRegion
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.version import ReplicationMode
from services.kernel.clock import FakeClock
from services.kernel.errors import PermissionDenied
from services.replication.clients.grants import GrantReader
from services.replication.domain.grants import Demand

VERSION = "subscriptions/s/resourceGroups/r/galleries/g/images/i/versions/1.0.0"
DESIRED = Desired(
    name=VERSION,
    uid="1" * 32,
    tenant="tenants/t",
    generation=4,
    mode=ReplicationMode.FULL,
    home="eastus",
    disks=(SourceDisk("os", ByteSource(SourceKind.BLOB, "B", "u"), 5, root_digest="ab"),),
    regions=(WantedRegion("eastus", 1, StorageType.STANDARD_LRS),),
    authority=Authority("tenants/t/users/u", "write", (("read", "scope"),), "d", 9),
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "grants.key"
    path.write_bytes(new_key_pem())
    return path


def _reader(key: Path, clock: FakeClock) -> GrantReader:
    keys = key.with_suffix(".json")
    keys.write_text(json.dumps({"keys": [public_jwk(key.read_bytes())]}))
    return GrantReader(keys, clock)


def test_replication_reads_what_was_decided(key: Path) -> None:
    clock = FakeClock()
    grant = _reader(key, clock).verify(GrantSigner(key, clock).sign(DESIRED))
    assert (grant.subject, grant.action, grant.version) == ("tenants/t/users/u", "write", VERSION)
    assert (grant.uid, grant.generation, grant.revision) == ("1" * 32, 4, 9)
    assert grant.sources == {"os": "blob:b:u#ab"}
    assert grant.demands == (Demand("read", "scope"),)


def test_a_grant_ends_and_a_fresh_one_does_not(key: Path) -> None:
    clock = FakeClock()
    reader, signer = _reader(key, clock), GrantSigner(key, clock)
    old = signer.sign(DESIRED)
    clock.advance(timedelta(seconds=LIFE + 30).total_seconds())
    with pytest.raises(PermissionDenied) as raised:
        reader.verify(old)
    assert raised.value.metadata["cause"] == "expired"
    assert reader.verify(signer.sign(DESIRED)).uid == DESIRED.uid


def test_the_id_of_a_key_is_its_thumbprint_and_another_curve_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    pem = new_key_pem()
    loaded = load_pem_private_key(pem, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert thumbprint(loaded.public_key()) == public_jwk(pem)["kid"]
    other = tmp_path / "other.key"
    other.write_bytes(
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    with pytest.raises(ValueError, match="P-256"):
        GrantSigner(other, FakeClock())
