"""What the catalog decides by its own replica can be explained, like what authz decides."""

import grpc
from stoa.authz.v1 import audit_service_pb2, explanation_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.authz.installation import refused
from tests.wire.catalog.installation import World

WRITE = "Microsoft.Compute/galleries/images/versions/write"


def test_the_decision_behind_a_publication_is_told_and_explained(
    world: World, policy: Policy
) -> None:
    version, _ = world.version()
    world.replication.await_ensured(version.uid, 1)
    grant = next(one for one in world.replication.grants if one.uid == version.uid)
    request = audit_service_pb2.ListAuditRecordsRequest(
        parent="subscriptions/default", filter=f'decision_id = "{grant.decision}"'
    )
    (record,) = policy.owner.audit.ListAuditRecords(request).audit_records
    assert record.method == "replicas.wanted"
    assert record.workload == "catalog"
    assert (record.action, record.resource) == (WRITE, version.name)
    assert record.caller == "tenants/default/users/owner"
    assert dict(record.details.items()) == {"generation": "1", "version_uid": version.uid}
    asked = explanation_pb2.ExplainRequest(decision_id=grant.decision)
    found = policy.owner.questions.Explain(asked)
    assert found.decision.allowed
    assert found.decision.decision_id == grant.decision
    assert found.decision.revision == record.revision
    assert (found.action, found.resource) == (WRITE, version.name)
    assert found.subject.principal_id == "owner"
    assert any(
        one.state == explanation_pb2.ExplainedAssignment.STATE_GRANTED for one in found.assignments
    )
    with refused(grpc.StatusCode.NOT_FOUND, "DECISION_NOT_FOUND"):
        policy.called(policy.user()).questions.Explain(asked)
