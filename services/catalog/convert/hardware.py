"""Enums that images, disks and machines have in common."""

from typing import Final

from stoa.catalog.v1 import machine_hardware_pb2, purchase_plan_pb2
from stoa.type.v1 import os_type_pb2, storage_pb2

from services.catalog.convert.common import EnumMap
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    DiskFormat,
    DiskType,
    HostCaching,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
    PurchasePlan,
    StorageType,
)

OS_TYPES: Final = EnumMap(OsType, os_type_pb2.OsType, "OS_TYPE_")
OS_STATES: Final = EnumMap(OsState, os_type_pb2.OsState, "OS_STATE_")
GENERATIONS: Final = EnumMap(HyperVGeneration, os_type_pb2.HyperVGeneration, "HYPER_V_GENERATION_")
ARCHITECTURES: Final = EnumMap(Architecture, os_type_pb2.Architecture, "ARCHITECTURE_")
CACHINGS: Final = EnumMap(HostCaching, machine_hardware_pb2.HostCaching, "HOST_CACHING_")
DISK_TYPES: Final = EnumMap(DiskType, machine_hardware_pb2.DiskType, "DISK_TYPE_")
CONTROLLERS: Final = EnumMap(
    DiskControllerType, machine_hardware_pb2.DiskControllerType, "DISK_CONTROLLER_TYPE_"
)
MACHINE_SECURITY: Final = EnumMap(
    MachineSecurityType, machine_hardware_pb2.MachineSecurityType, "MACHINE_SECURITY_TYPE_"
)
STORAGE_TYPES: Final = EnumMap(StorageType, storage_pb2.StorageAccountType, "STORAGE_ACCOUNT_TYPE_")
FORMATS: Final = EnumMap(DiskFormat, storage_pb2.DiskFormat, "DISK_FORMAT_")


def encode_plan(plan: PurchasePlan) -> purchase_plan_pb2.PurchasePlan:
    """Answer a plan as the contract has it."""
    return purchase_plan_pb2.PurchasePlan(
        name=plan.name, publisher=plan.publisher, product=plan.product
    )


def decode_plan(message: purchase_plan_pb2.PurchasePlan) -> PurchasePlan:
    """Read a plan."""
    return PurchasePlan(message.name, message.publisher, message.product)
