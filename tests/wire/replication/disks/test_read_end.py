"""Reading ends with the retention of a soft-deleted version, though its replicas are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc

from tests.wire.replication.disks.reading import publish, read, request
from tests.wire.replication.disks.uploading import refusal

DISK = b"soft-deleted" * 1000


def test_reads_begin_until_the_end_of_retention_and_not_after_it(service, people) -> None:
    version = f"{people.subscription()}/resourceGroups/rg/galleries/g/images/i/versions/1.0.0"
    uid = publish(service, version, {"os": DISK}, {"home": 1})

    def end_reading(at: datetime | None) -> None:
        def change(tx) -> None:
            found = tx.versions.lock(uid)
            tx.versions.update(replace(found, desired=replace(found.desired, read_end=at)))

        service.world.rows.transact(change)

    service.catch_up()
    disks = service.user().disks
    now = datetime.now(UTC)
    end_reading(now + timedelta(days=1))
    assert read(disks, request(version)) == DISK
    end_reading(now - timedelta(days=1))
    code, info = refusal(disks.ReadDisk, request(version))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    end_reading(None)
    assert read(disks, request(version)) == DISK
