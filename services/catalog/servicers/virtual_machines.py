"""`VirtualMachineService`."""

from typing import Any, Final

from stoa.catalog.v1 import virtual_machine_service_pb2 as pb

from services.catalog.convert import virtual_machines as convert
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.sources import SYSTEM_FIELDS, Sources
from services.catalog.usecases import source_machines
from services.catalog.usecases.source_create import NewSource
from services.catalog.usecases.source_types import VIRTUAL_MACHINE
from services.kernel.rpc.call import Call


class VirtualMachineServicer:
    """Virtual machines, as sources of images."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._sources: Final = Sources(
            dependencies,
            VIRTUAL_MACHINE,
            dependencies.readers.virtual_machines,
            pb.ListVirtualMachinesResponse,
            entries="virtual_machines",
            fields=SYSTEM_FIELDS,
        )

    def CreateVirtualMachine(self, request: pb.CreateVirtualMachineRequest, call: Call) -> bytes:
        sent = request.virtual_machine
        command = source_machines.CreateMachine(
            new=NewSource(
                mutations.scope_of(call),
                request.virtual_machine_id,
                sent.location,
                dict(sent.tags),
            ),
            size=sent.size,
            system=convert.decode_system(sent),
            disks=convert.decode_disks(sent),
            power_state=convert.POWER_STATES.member(sent.power_state),
            hibernation=sent.hibernation,
        )
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: source_machines.create(
                command, context, mutation, world=self._sources.world
            ),
        )

    def GetVirtualMachine(self, request: pb.GetVirtualMachineRequest, call: Call) -> bytes:
        return self._sources.get(call)

    def ListVirtualMachines(self, request: pb.ListVirtualMachinesRequest, call: Call) -> Any:
        return self._sources.page(request, call)

    def DeleteVirtualMachine(self, request: pb.DeleteVirtualMachineRequest, call: Call) -> bytes:
        return self._sources.delete(request, call)
