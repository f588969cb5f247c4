"""Sharing between the domain and the contract."""

from typing import Final

from stoa.authz.v1 import sharing_grant_pb2
from stoa.authz.v1 import sharing_service_pb2 as pb

from services.authz.domain.sharing_steps import Operation, Step
from services.authz.ports.replicas import Lagging
from services.authz.usecases.sharing import Apply
from services.kernel.request_digest import request_digest
from services.policy.model import SharingMode

MODES: Final = {
    sharing_grant_pb2.SHARING_MODE_UNSPECIFIED: SharingMode.PRIVATE,
    sharing_grant_pb2.SHARING_MODE_PRIVATE: SharingMode.PRIVATE,
    sharing_grant_pb2.SHARING_MODE_GROUPS: SharingMode.GROUPS,
    sharing_grant_pb2.SHARING_MODE_COMMUNITY: SharingMode.COMMUNITY,
}


def apply(request: pb.ApplySharingRequest, gallery: str) -> Apply:
    """Read what the catalog asks for; `gallery` is its name in the canonical form."""
    profile = request.profile
    return Apply(
        gallery=gallery,
        gallery_uid=request.gallery_uid,
        sequence=request.sequence,
        mode=MODES[profile.mode],
        shared_id=profile.shared_id,
        content=_content(request),
        public_name=profile.public_name,
        allow_copy=profile.allow_copy,
        step=step_of(request.change) if request.HasField("change") else None,
        simulation_digest=request.simulation_digest,
        dry=request.validate_only,
    )


def step_of(change: sharing_grant_pb2.SharingChange) -> Step:
    """Read a step."""
    name = sharing_grant_pb2.SharingOperation.Name(change.operation)
    return Step(
        Operation[name.removeprefix("SHARING_OPERATION_")],
        tuple(change.subscriptions),
        tuple(change.tenants),
    )


def lagging(one: Lagging) -> pb.LaggingReplica:
    """Answer a replica that has not applied a revision."""
    return pb.LaggingReplica(
        replica_id=one.replica_id, workload=one.workload, revision=one.revision
    )


def _content(request: pb.ApplySharingRequest) -> bytes:
    """Digest what a request says, apart from how it is asked."""
    said = pb.ApplySharingRequest(
        gallery_uid=request.gallery_uid,
        sequence=request.sequence,
        profile=request.profile,
        change=request.change if request.HasField("change") else None,
    )
    body = said.SerializeToString(deterministic=True)
    return request_digest("ApplySharing", {"gallery": request.gallery}, body)
