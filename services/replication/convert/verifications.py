"""What VerifyReplicas takes and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from stoa.replication.v1 import operation_metadata_pb2, replica_verification_pb2

from services.kernel.errors import Code
from services.replication.convert.common import (
    DOMAIN,
    HEALTH,
    REGION_STATE,
    cause_message,
    disk_selector,
    number,
    progress_message,
    timestamp,
)
from services.replication.domain.progress import PERCENT, Counters, Progress
from services.replication.domain.records import Version, VersionRegion
from services.replication.domain.verification import Depth, Finding, Verification

_DEPTH: Final = replica_verification_pb2.VerificationDepth
_UNSET: Final = replica_verification_pb2.VERIFICATION_DEPTH_UNSPECIFIED


def depth_of(sent: int) -> Depth:
    """Answer how thoroughly a request wants it; FULL where it does not say."""
    if sent == _UNSET:
        return Depth.FULL
    name = _DEPTH.Name(_DEPTH.ValueType(sent))
    return Depth(name.removeprefix("VERIFICATION_DEPTH_"))


class VerifyResults:
    """Fulfils `ports.outside.VerificationResults`."""

    def metadata(
        self,
        version: Version,
        verification: Verification,
        regions: Sequence[VersionRegion],
        *,
        end_time: datetime | None = None,
        cancelled: bool = False,
    ) -> bytes:
        """Answer how far it is."""
        done, count = verification.position, len(verification.targets)
        return _packed(
            operation_metadata_pb2.OperationMetadata(
                create_time=timestamp(verification.create_time),
                end_time=timestamp(end_time),
                target=version.name,
                verb="verify",
                status_message=f"{done} of {count} disks of replicas read back",
                cancel_requested=cancelled,
                regions=[
                    operation_metadata_pb2.RegionProgress(
                        location=one.location,
                        state=number(REGION_STATE, one.state),
                        progress=progress_message(_progress(verification.regions[one.location])),
                        cause=cause_message(one.cause),
                    )
                    for one in regions
                    if one.location in verification.regions
                ],
            )
        )

    def response(self, verification: Verification) -> bytes:
        """Answer what was found."""
        return _packed(
            replica_verification_pb2.VerifyReplicasResponse(
                findings=[_finding(one) for one in verification.findings],
                all_good=verification.all_good,
                verified_disk_count=verification.verified_count,
                damaged_disk_count=verification.damaged_count,
                verified_bytes=verification.verified_bytes,
                repaired_bytes=verification.repaired_bytes,
            )
        )

    def cancelled(self, version: Version) -> bytes:
        """Answer the status of one that was stopped."""
        message = f"the verification of {version.name} was cancelled"
        status = status_pb2.Status(code=int(Code.CANCELLED), message=message)
        info = error_details_pb2.ErrorInfo(reason="CANCELLED", domain=DOMAIN)
        status.details.add().Pack(info)
        return status.SerializeToString()


def _progress(counters: Counters) -> Progress:
    whole = counters.total
    percent = counters.verified * PERCENT // whole if whole else PERCENT
    return Progress(counters, min(percent, PERCENT))


def _finding(finding: Finding) -> replica_verification_pb2.ReplicaVerification:
    return replica_verification_pb2.ReplicaVerification(
        location=finding.target.location,
        slot=finding.target.slot,
        disk=disk_selector(finding.target.disk),
        health=number(HEALTH, finding.health),
        verified_bytes=finding.verified_bytes,
        damaged_bytes=finding.damaged_bytes,
        repaired_bytes=finding.repaired_bytes,
        verify_time=timestamp(finding.time),
        cause=cause_message(finding.cause),
    )


def _packed(message: Message) -> bytes:
    packed = AnyMessage()
    packed.Pack(message)
    return packed.SerializeToString()
