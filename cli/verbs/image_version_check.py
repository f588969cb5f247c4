"""`stoa image-version check-deployment`: whether machines would start from an image."""

from typing import Annotated

import typer
from stoa.catalog.v1 import deployment_check_pb2 as pb
from stoa.catalog.v1 import machine_hardware_pb2 as hardware
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.type.v1 import os_type_pb2 as os_types

from cli.errors import CliError, ExitCode
from cli.invocation import current
from cli.output import Column, note
from cli.verbs import names
from cli.verbs.options import (
    AcceptTerms,
    Definition,
    Location,
    PublicName,
    Subscription,
    UniqueName,
    Version,
)
from cli.verbs.system_options import (
    PlanName,
    PlanProduct,
    PlanPublisher,
    controller,
    disk_type,
    purchase_plan,
)
from cli.verbs.words import value, word

Group = Annotated[str | None, typer.Option("--resource-group", "-g", help="Of one's own gallery.")]
Gallery = Annotated[str | None, typer.Option("--gallery-name", "-r", help="One's own gallery.")]

_COLUMNS = (
    Column("Severity", word("severity", "SEVERITY_")),
    Column("Finding", word("kind", "FINDING_KIND_")),
    Column("Field", "field"),
    Column("Description", "description"),
)
# How `az` calls what is deployed, beside the names of the contract.
_KINDS = {"vm": "SINGLE_MACHINE", "uniform": "UNIFORM_SCALE_SET", "flexible": "FLEXIBLE_SCALE_SET"}


def check_deployment(
    *,
    definition: Definition,
    location: Location,
    version: Version = "latest",
    resource_group: Group = None,
    gallery_name: Gallery = None,
    gallery_unique_name: UniqueName = None,
    public_gallery_name: PublicName = None,
    kind: Annotated[str, typer.Option("--kind", help="vm, uniform or flexible.")] = "vm",
    instance_count: Annotated[int | None, typer.Option(help="How many machines.")] = None,
    current_image: Annotated[
        str, typer.Option(help="What the scale set is made from now; its full name.")
    ] = "",
    vcpus: Annotated[int | None, typer.Option(help="Processors of a machine.")] = None,
    memory: Annotated[float | None, typer.Option(help="Its memory in GB.")] = None,
    os_disk_type: Annotated[str, typer.Option(help="Kind of its OS disk: Premium_LRS.")] = "",
    data_disk_types: Annotated[
        list[str] | None, typer.Option(help="Kinds of its data disks ...")
    ] = None,
    disk_controller_type: Annotated[str, typer.Option(help="SCSI or NVMe.")] = "",
    security_type: Annotated[
        str, typer.Option(help="Standard, TrustedLaunch or ConfidentialVM.")
    ] = "",
    hyper_v_generation: Annotated[str, typer.Option(help="V1 or V2.")] = "",
    architecture: Annotated[str, typer.Option(help="x64 or Arm64.")] = "",
    enable_hibernation: Annotated[
        bool, typer.Option("--enable-hibernation", help="It must be able to hibernate.")
    ] = False,
    accelerated_networking: Annotated[
        bool, typer.Option("--accelerated-networking", help="It has it.")
    ] = False,
    os_profile: Annotated[
        bool | None,
        typer.Option("--os-profile/--no-os-profile", help="Whether an OS profile is given."),
    ] = None,
    plan_name: PlanName = "",
    plan_product: PlanProduct = "",
    plan_publisher: PlanPublisher = "",
    accept_terms: AcceptTerms = False,
    subscription: Subscription = None,
) -> None:
    """Check whether machines would start from an image; nothing is made.

    Fails with exit code 5 where they would not.
    """
    image = names.image(
        subscription,
        definition,
        location=location,
        resource_group=resource_group,
        gallery_name=gallery_name,
        unique_name=gallery_unique_name,
        public_name=public_gallery_name,
    )
    machine = pb.MachineShape(
        vcpus=vcpus,
        memory_gb=memory,
        data_disk_types=[
            disk_type(one, option="--data-disk-types") for one in data_disk_types or ()
        ],
        hibernation=enable_hibernation,
        accelerated_networking=accelerated_networking,
        os_profile_given=os_profile,
        accept_terms=accept_terms,
    )
    if os_disk_type:
        machine.os_disk_type = disk_type(os_disk_type, option="--os-disk-type")
    if disk_controller_type:
        found = controller(disk_controller_type, option="--disk-controller-type")
        machine.disk_controller_type = found
    if security_type:
        types, prefix = hardware.MachineSecurityType, "MACHINE_SECURITY_TYPE_"
        machine.security_type = value(types, prefix, security_type, option="--security-type")
    if hyper_v_generation:
        generations, prefix = os_types.HyperVGeneration, "HYPER_V_GENERATION_"
        machine.hyper_v_generation = value(
            generations, prefix, hyper_v_generation, option="--hyper-v-generation"
        )
    if architecture:
        kinds, prefix = os_types.Architecture, "ARCHITECTURE_"
        machine.architecture = value(kinds, prefix, architecture, option="--architecture")
    if plan_name or plan_product or plan_publisher:
        machine.purchase_plan.CopyFrom(purchase_plan((plan_name, plan_product, plan_publisher)))
    request = pb.CheckDeploymentRequest(
        image=image if version == "latest" else f"{image}/versions/{version}",
        location=location,
        machine=machine,
        kind=value(
            pb.CheckDeploymentRequest.DeploymentKind,
            "DEPLOYMENT_KIND_",
            _KINDS.get(kind, kind),
            option="--kind",
        ),
        instance_count=instance_count,
        current_image=current_image,
    )
    _tell(current().connection.stub("catalog", ImageVersionServiceStub).CheckDeployment(request))


def _tell(answer: pb.CheckDeploymentResponse) -> None:
    """Write what was found.

    Raises:
        CliError: machines would not start.
    """
    current().output.list(answer.findings, _COLUMNS)
    errors = [
        one.description
        for one in answer.findings
        if one.severity == pb.DeploymentFinding.SEVERITY_ERROR
    ]
    if not answer.deployable:
        raise CliError(
            f"Machines would not start from {answer.image_version} in {answer.location}.",
            why=tuple(errors),
            code=ExitCode.CONFLICT,
        )
    note(f"Machines would start from {answer.image_version} in {answer.location}.")
