"""Requests of updates, read."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from services.catalog.servicers.mutations import scope_of
from services.catalog.usecases.updates import Update
from services.kernel.rpc.call import Call


def update_of(call: Call, sent: Any, mask: FieldMask, values: Mapping[str, Any]) -> Update:
    """Answer the update that a request asks for; `values` by the first parts of their paths."""
    return Update(scope_of(call), sent.etag, tuple(mask.paths), values)
