"""What the catalog and the replication service must name alike."""

import pytest

from services.catalog.domain import desired
from services.catalog.domain.disk_source import ByteSource, SourceKind
from services.replication.domain import desired as theirs
from services.replication.domain.names import storage_id


@pytest.mark.parametrize("tenant", ["default", "Contoso", "11111111-2222-3333-4444-555555555555"])
def test_both_services_derive_one_storage_id(tenant: str) -> None:
    assert desired.storage_id(f"tenants/{tenant}") == storage_id(tenant)


@pytest.mark.parametrize("kind", list(SourceKind))
def test_both_services_name_a_source_alike(kind: SourceKind) -> None:
    parts = {"uid": "u", "disk": "3", "path": "a/B.vhd", "etag": "e"}
    ours = ByteSource(kind, "Subscriptions/S/X/Y", **parts)
    other = theirs.DiskSource(theirs.SourceKind(kind.value), "subscriptions/s/x/y", **parts)
    if kind is SourceKind.STORE_FILE:
        # The entry of a store is no resource name, and is compared as it is.
        assert ours.identity().startswith("storeFile:Subscriptions/S/X/Y:")
    else:
        assert ours.identity() == other.identity()
