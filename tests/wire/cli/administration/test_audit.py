from sqlalchemy import update
from stoa.authz.v1 import tenant_pb2

from services.authz.store.tables import AUDIT_RECORDS


def test_the_log_is_listed_the_newest_first(stoa, world):
    user = world.user()
    found = stoa("audit", "list", "--max-items", "1")
    assert [one["resource"] for one in found] == [user]
    assert stoa("audit", "list", "--scope", "/", "--filter", "method = nothing") == []


def test_an_untouched_log_is_proven_and_its_end_is_remembered(stoa, world):
    world.user()
    first = stoa("audit", "verify")
    assert first["parent"] == "tenants/default"
    assert first["known"].startswith(f"{first['records']}:")
    world.user()
    again = stoa("audit", "verify", "--known", first["known"])
    assert again["records"] == first["records"] + 1
    assert stoa("audit", "verify", "--installation")["parent"] == "/"
    sequence = first["known"].partition(":")[0]
    code, said = stoa.refused("audit", "verify", "--known", f"{sequence}:{'0' * 64}")
    assert code == 1
    assert f"record {sequence} is not the one that was known" in said
    code, _ = stoa.refused("audit", "verify", "--known", "5")
    assert code == 2


def test_an_edited_row_is_found(stoa, authz, world):
    tenant = world.id("tenant-")
    world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=tenant, tenant=tenant_pb2.Tenant(display_name="Another")
        )
    )
    command = ("audit", "verify", "--tenant", tenant)
    assert stoa(*command)["records"] == 1
    c = AUDIT_RECORDS.c
    statement = update(AUDIT_RECORDS).where(c.chain == f"tenants/{tenant}").values(caller="x")
    authz.db.transact(lambda tx: tx.execute(statement))
    code, said = stoa.refused(*command)
    assert code == 1
    assert "record 1 is not what was recorded" in said
