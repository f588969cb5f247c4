"""Sharing grants, kept by the authz service."""

from typing import Final

import grpc
from stoa.authz.v1 import sharing_grant_pb2 as grant_pb
from stoa.authz.v1 import sharing_service_pb2 as pb
from stoa.authz.v1 import sharing_service_pb2_grpc

from services.catalog.domain import names, reasons
from services.catalog.domain.gallery import Consumers, Gallery, PendingShare
from services.catalog.domain.usage import Metric, usage_name
from services.catalog.ports.policy import ShareAnswer
from services.kernel.errors import (
    Aborted,
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
    QuotaViolation,
    ResourceExhausted,
    ResourceInfo,
    StoaError,
)
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.remote import RemoteStatus, translated

SERVICE: Final = "stoa.authz.v1.SharingService"
# What authz counts, by its name for it.
_METRICS: Final = {
    "subscriptions": Metric.SHARED_SUBSCRIPTIONS,
    "tenants": Metric.SHARED_TENANTS,
}
_STATES: Final = frozenset(
    {
        reasons.SHARING_MODE_MISMATCH,
        reasons.COMMUNITY_SHARING_FORBIDDEN,
        reasons.SIMULATION_DIGEST_REQUIRED,
        reasons.SIMULATION_DIGEST_STALE,
    }
)


class AuthzSharing:
    """Fulfils the port `SharingAuthority`."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub: Final = sharing_service_pb2_grpc.SharingServiceStub(channel)

    def apply(
        self, gallery: Gallery, share: PendingShare, *, wait: bool = False, dry: bool = False
    ) -> ShareAnswer:
        """Take a step for a gallery; again: the same answer."""
        request = _request(gallery, share)
        request.wait_for_replicas = wait
        request.validate_only = dry
        try:
            response = self._stub.ApplySharing(request)
        except grpc.RpcError as error:
            raise _refusal(RemoteStatus.of(error), gallery) or translated(error, "authz") from error
        grant = response.grant
        return ShareAnswer(
            Consumers(tuple(grant.subscriptions), tuple(grant.tenants)),
            Consumers(tuple(grant.blocked_subscriptions), tuple(grant.blocked_tenants)),
            grant.community_enabled,
            grant.revision,
            response.consistency_token,
            response.simulation_digest,
            tuple(one.replica_id for one in response.lagging_replicas),
        )


def _request(gallery: Gallery, share: PendingShare) -> pb.ApplySharingRequest:
    wanted, step = share.wanted, share.change
    change = None
    if step is not None:
        change = grant_pb.SharingChange(
            operation=grant_pb.SharingOperation.Value(f"SHARING_OPERATION_{step.operation.name}"),
            subscriptions=step.consumers.subscriptions,
            tenants=step.consumers.tenants,
        )
    return pb.ApplySharingRequest(
        gallery=gallery.name,
        gallery_uid=gallery.uid,
        sequence=wanted.sequence,
        profile=grant_pb.SharingProfile(
            mode=grant_pb.SharingMode.Value(f"SHARING_MODE_{wanted.mode.name}"),
            shared_id=gallery.shared_id,
            public_name=wanted.public_name,
            allow_copy=gallery.allow_copy,
        ),
        change=change,
        simulation_digest=share.simulation_digest,
        request_id=share.request_id,
        caller=share.caller,
    )


def _exhausted(
    status: RemoteStatus, gallery: Gallery, metadata: dict[str, str]
) -> ResourceExhausted:
    """Build the error for too many consumers, with the usage that is full."""
    metric = _METRICS.get(metadata.get("consumers", ""))
    subject = gallery.name
    if metric is not None:
        subscription = names.subscription_of(gallery.name)
        subject = usage_name(subscription, gallery.location, metric)
        metadata |= {"usage": subject}
    return ResourceExhausted(
        status.message, metadata=metadata, quota=[QuotaViolation(subject, status.message)]
    )


def _refusal(status: RemoteStatus, gallery: Gallery) -> StoaError | None:
    """Answer what authz refused in the words of this contract, None for anything else."""
    metadata = dict(status.metadata)
    match status.reason:
        case "CONSUMER_NOT_FOUND":
            consumer = metadata.get("consumer", "")
            kind = names.SUBSCRIPTION_TYPE if consumer.startswith("sub") else "stoa.dev/Tenant"
            return NotFound(
                status.message,
                reason=reasons.CONSUMER_NOT_FOUND,
                metadata={"consumer": consumer},
                resource=ResourceInfo(kind, consumer),
            )
        case "SHARING_LIMIT_EXCEEDED":
            return _exhausted(status, gallery, metadata)
        case "SHARING_SUPERSEDED":
            return Aborted(
                f"another change of the sharing of {gallery.name} came first; try again",
                reason=reasons.SHARING_PENDING,
                metadata={"resource": gallery.name},
            )
        case "SHARING_NOT_RESET":
            return FailedPrecondition(
                f"{gallery.name} is shared: ShareGallery with RESET comes first",
                reason=reasons.STILL_SHARED,
                metadata={"resource": gallery.name},
            )
        case "RESOURCE_NOT_FOUND" | "PARENT_NOT_FOUND":
            return NotFound.of(names.GALLERY_TYPE, gallery.name)
        case reason if reason in _STATES:
            return FailedPrecondition(
                status.message,
                reason=reason,
                metadata=metadata,
                precondition=[PreconditionViolation(reason, gallery.name, status.message)],
            )
        case _:
            return None
