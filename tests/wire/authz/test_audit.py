import uuid
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import audit_record_pb2
from stoa.authz.v1 import audit_service_pb2 as pb

from services.authz.convert.audit import event
from services.authz.convert.times import moment
from services.authz.domain.audit import NO_DIGEST, canonical, digest_of
from tests.wire.authz.installation import refused

Code = grpc.StatusCode


def listed(stubs, parent: str, **more) -> list[Any]:
    found, token = [], ""
    while True:
        request = pb.ListAuditRecordsRequest(parent=parent, page_token=token, **more)
        page = stubs.audit.ListAuditRecords(request)
        found += page.audit_records
        token = page.next_page_token
        if not token:
            return found


def told(resource: str, method: str = "terms.accepted") -> audit_record_pb2.AuditRecord:
    record = audit_record_pb2.AuditRecord(
        event_time=Timestamp(seconds=1_800_000_000),
        caller="tenants/default/users/owner",
        method=method,
        resource=resource,
        outcome=audit_record_pb2.AuditRecord.OUTCOME_DONE,
    )
    record.details["eula"] = "https://example.org"
    return record


def append(stubs, *records, request_id: str = "") -> list[str]:
    request = pb.AppendAuditRecordsRequest(
        audit_records=records, request_id=request_id or str(uuid.uuid4())
    )
    return list(stubs.audit.AppendAuditRecords(request).audit_records)


def test_every_write_has_its_record_and_the_chain_holds(world):
    user, subscription = world.user(), world.subscription()
    made = world.assign(user, "Reader", subscription)
    records = listed(world.owner, "tenants/default", order_by="event_time", page_size=7)
    newest = records[-1]
    assert newest.name.startswith(f"{subscription}/auditRecords/")
    assert newest.method == "stoa.authz.v1.RoleAssignmentService/CreateRoleAssignment"
    assert newest.caller == made.creator
    chain = sorted(records, key=lambda one: one.sequence)
    assert [one.sequence for one in chain] == list(range(1, len(chain) + 1))
    previous = NO_DIGEST
    for one in chain:
        assert one.previous_digest == previous
        fields = canonical(
            event(one, one.workload), one.name, one.sequence, moment(one.create_time)
        )
        assert one.digest == digest_of(fields, previous)
        previous = one.digest


def test_an_append_is_done_once_for_its_request_id(authz, world):
    subscription, request_id = world.subscription(), str(uuid.uuid4())
    records = (told(subscription), told(f"{subscription}/resourceGroups/rg"))
    service = authz.service("replication")
    names = append(service, *records, request_id=request_id)
    assert append(service, *records, request_id=request_id) == names
    found = listed(world.owner, subscription, filter='method = "terms.accepted"')
    assert {one.name for one in found} == set(names)
    assert {one.workload for one in found} == {"replication"}
    assert dict(found[0].details) == {"eula": "https://example.org"}
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        append(service, records[0], request_id=request_id)


def test_a_record_about_nothing_known_is_in_the_log_of_the_installation(authz, world):
    (name,) = append(authz.service(), told("subscriptions/unknown", "odd"))
    assert name.startswith("auditRecords/")
    assert [one.name for one in listed(world.owner, "/", filter="method = odd")] == [name]


def test_records_are_filtered_by_what_they_are_about(authz, world):
    subscription = world.subscription()
    rg = f"{subscription}/resourceGroups/rg"
    append(authz.service(), told(subscription), told(rg), told(f"{rg}/galleries/g"))

    def about(text: str) -> list[str]:
        return [one.resource for one in listed(world.owner, subscription, filter=text)]

    assert about(f'resource = "{rg}"') == [rg]
    assert set(about(f'resource:"{rg}"')) == {rg, f"{rg}/galleries/g"}
    assert about("outcome = DENIED") == []
    assert about('event_time > "2030-01-01T00:00:00Z"') == []


def test_all_that_is_wrong_with_records_is_told(authz):
    bad = told("/")
    bad.ClearField("event_time")
    bad.ClearField("outcome")
    with refused(Code.INVALID_ARGUMENT) as refusal:
        append(authz.service(), bad, told("x"))
    assert set(refusal.fields) == {
        "audit_records[0].event_time",
        "audit_records[0].outcome",
        "audit_records[1].resource",
    }


def test_reading_needs_the_right_and_appending_is_for_services(world):
    user = world.user()
    with refused(Code.PERMISSION_DENIED):
        listed(world.called(user), "tenants/default")
    with refused(Code.UNIMPLEMENTED):
        append(world.owner, told("/"))
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        listed(world.owner, "subscriptions/unknown")
