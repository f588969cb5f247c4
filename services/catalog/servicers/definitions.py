"""`ImageDefinitionService`."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stoa.catalog.v1 import image_definition_service_pb2 as pb

from services.catalog.convert import definitions as convert
from services.catalog.convert.common import optional_time
from services.catalog.convert.hardware import (
    ARCHITECTURES,
    DISK_TYPES,
    GENERATIONS,
    OS_STATES,
    OS_TYPES,
    decode_plan,
)
from services.catalog.domain import names
from services.catalog.domain.hardware import Architecture, HyperVGeneration, OsState, OsType
from services.catalog.servicers import mutations, reading
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.resource_groups import COMMON_FIELDS, COMMON_ORDERS, delete
from services.catalog.servicers.updates import update_of
from services.catalog.usecases import definition_update, definitions, deletes
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call

_IDENTIFIER: Final = ("identifier.publisher", "identifier.offer", "identifier.sku")
_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    **COMMON_FIELDS,
    **dict.fromkeys(_IDENTIFIER, Kind.STRING),
    "os_type": frozenset(one.name for one in OsType),
    "os_state": frozenset(one.name for one in OsState),
    "hyper_v_generation": frozenset(one.name for one in HyperVGeneration),
    "architecture": frozenset(one.name for one in Architecture),
    "description": Kind.STRING,
    "end_of_life_time": Kind.TIME,
}


class ImageDefinitionServicer:
    """Image definitions."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._listing: Final = reading.Listing(
            _FIELDS,
            (*COMMON_ORDERS, *_IDENTIFIER, "end_of_life_time"),
            _response,
            lambda parent: dependencies.readers.galleries.exists(parent.key),
            names.GALLERY_TYPE,
        )

    def CreateImageDefinition(self, request: pb.CreateImageDefinitionRequest, call: Call) -> bytes:
        command = _command(request, call)
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: definitions.create(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                regions=self._d.regions,
            ),
        )

    def GetImageDefinition(self, request: pb.GetImageDefinitionRequest, call: Call) -> bytes:
        return reading.get(self._d, call, self._d.readers.definitions, names.DEFINITION_TYPE)

    def ListImageDefinitions(self, request: pb.ListImageDefinitionsRequest, call: Call) -> Any:
        return reading.page(
            self._d, call, self._d.readers.definitions, request, listing=self._listing
        )

    def UpdateImageDefinition(self, request: pb.UpdateImageDefinitionRequest, call: Call) -> bytes:
        sent = request.image_definition
        values = convert.update_fields(sent)
        command = update_of(call, sent, request.update_mask, values, regions=self._d.regions)
        return mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("image_definition.name",),
            use=lambda context, mutation: definition_update.update(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                allow_update_image=request.allow_update_image,
            ),
        )

    def DeleteImageDefinition(self, request: pb.DeleteImageDefinitionRequest, call: Call) -> bytes:
        return delete(self._d, call, request, deletes.DEFINITION)


def _command(request: pb.CreateImageDefinitionRequest, call: Call) -> definitions.CreateDefinition:
    sent = request.image_definition
    disallowed = (DISK_TYPES.member(one) for one in sent.disallowed.disk_types)
    return definitions.CreateDefinition(
        parent=mutations.scope_of(call),
        id=request.image_definition_id,
        location=sent.location,
        os_type=OS_TYPES.member(sent.os_type),
        os_state=OS_STATES.member(sent.os_state),
        identifier=convert.decode_identifier(sent.identifier),
        hyper_v_generation=GENERATIONS.member(sent.hyper_v_generation) or HyperVGeneration.V1,
        architecture=ARCHITECTURES.member(sent.architecture) or Architecture.X64,
        description=sent.description,
        eula=sent.eula,
        privacy_statement_uri=sent.privacy_statement_uri,
        release_note_uri=sent.release_note_uri,
        end_of_life_time=optional_time(sent, "end_of_life_time"),
        recommended=convert.decode_recommended(sent.recommended)
        if sent.HasField("recommended")
        else None,
        disallowed_disk_types=tuple(one for one in disallowed if one is not None),
        purchase_plan=decode_plan(sent.purchase_plan) if sent.HasField("purchase_plan") else None,
        features=tuple(map(convert.decode_feature, sent.features)),
        tags=dict(sent.tags),
    )


def _response(rows: Any, token: str) -> pb.ListImageDefinitionsResponse:
    response = pb.ListImageDefinitionsResponse(next_page_token=token)
    for row in rows:
        response.image_definitions.add().ParseFromString(row.body)
    return response
