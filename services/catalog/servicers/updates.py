"""Requests of updates, read."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask

from services.catalog.ports.calls import Regions
from services.catalog.servicers.mutations import scope_of
from services.catalog.usecases.updates import Update
from services.kernel.rpc.call import Call

_LOCATION: Final = "location"


def update_of(
    call: Call, sent: Any, mask: FieldMask, values: Mapping[str, Any], *, regions: Regions
) -> Update:
    """Answer the update that a request asks for; `values` by the first parts of their paths.

    A region counts by its id however it is spelled, so that the same one is no change.
    """
    spelled = values[_LOCATION]
    if spelled:
        region = regions.find([spelled])[spelled]
        values = {**values, _LOCATION: spelled if region is None else region.id}
    return Update(scope_of(call), sent.etag, tuple(mask.paths), values)
