"""`CheckDeployment` between the contract and the domain."""

from typing import Final

from stoa.catalog.v1 import deployment_check_pb2 as pb

from services.catalog.convert.common import EnumMap
from services.catalog.convert.hardware import (
    ARCHITECTURES,
    CONTROLLERS,
    DISK_TYPES,
    GENERATIONS,
    MACHINE_SECURITY,
    decode_plan,
)
from services.catalog.domain.deployment import (
    Deployment,
    DeploymentKind,
    Finding,
    FindingKind,
    MachineShape,
    Severity,
)
from services.catalog.domain.hardware import DiskControllerType, MachineSecurityType
from services.catalog.usecases.deployment import Checked

KINDS: Final = EnumMap(DeploymentKind, pb.CheckDeploymentRequest.DeploymentKind, "DEPLOYMENT_KIND_")
FINDING_KINDS: Final = EnumMap(FindingKind, pb.DeploymentFinding.FindingKind, "FINDING_KIND_")
SEVERITIES: Final = EnumMap(Severity, pb.DeploymentFinding.Severity, "SEVERITY_")


def decode_deployment(request: pb.CheckDeploymentRequest) -> Deployment:
    """Read what is to be made; what is not set has the value that its field names."""
    return Deployment(
        machine=_decode_machine(request.machine),
        kind=KINDS.member(request.kind) or DeploymentKind.SINGLE_MACHINE,
        instance_count=request.instance_count if request.HasField("instance_count") else 1,
    )


def _decode_machine(machine: pb.MachineShape) -> MachineShape:
    return MachineShape(
        vcpus=machine.vcpus if machine.HasField("vcpus") else None,
        memory_gb=machine.memory_gb if machine.HasField("memory_gb") else None,
        os_disk_type=DISK_TYPES.member(machine.os_disk_type),
        data_disk_types=tuple(
            found
            for one in machine.data_disk_types
            if (found := DISK_TYPES.member(one)) is not None
        ),
        disk_controller=CONTROLLERS.member(machine.disk_controller_type) or DiskControllerType.SCSI,
        security_type=MACHINE_SECURITY.member(machine.security_type)
        or MachineSecurityType.STANDARD,
        hibernation=machine.hibernation,
        accelerated_networking=machine.accelerated_networking,
        hyper_v_generation=GENERATIONS.member(machine.hyper_v_generation),
        architecture=ARCHITECTURES.member(machine.architecture),
        os_profile_given=machine.os_profile_given if machine.HasField("os_profile_given") else None,
        purchase_plan=decode_plan(machine.purchase_plan)
        if machine.HasField("purchase_plan")
        else None,
        accept_terms=machine.accept_terms,
    )


def encode(checked: Checked) -> pb.CheckDeploymentResponse:
    """Answer what was found."""
    return pb.CheckDeploymentResponse(
        deployable=checked.deployable,
        image_version=checked.version,
        location=checked.location,
        findings=map(_encode_finding, checked.findings),
    )


def _encode_finding(finding: Finding) -> pb.DeploymentFinding:
    return pb.DeploymentFinding(
        severity=SEVERITIES.number(finding.kind.severity),
        kind=FINDING_KINDS.number(finding.kind),
        field=finding.field,
        description=finding.description,
    )
