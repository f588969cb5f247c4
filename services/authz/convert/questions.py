"""Questions about access and their answers, between the domain and the contract."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from stoa.authz.v1 import decision_pb2

from services.policy.conditions import Attributes
from services.policy.decision import Decision, Reason
from services.policy.model import Plane

PLANES: Final = {
    decision_pb2.PLANE_UNSPECIFIED: Plane.CONTROL,
    decision_pb2.PLANE_CONTROL: Plane.CONTROL,
    decision_pb2.PLANE_DATA: Plane.DATA,
}


_REASONS: Final = {
    one: decision_pb2.DecisionReason.Value(f"DECISION_REASON_{one.value}") for one in Reason
}


def context_of(context: Struct) -> dict[str, Any]:
    """Answer what conditions may look at as values of JSON."""
    found: dict[str, Any] = MessageToDict(context) if context.fields else {}
    return found


def attributes(action: str, context: Mapping[str, Any]) -> Attributes | None:
    """Answer what conditions may look at, None where nothing was said.

    Anything but a text, or a list of the spellings of one, is no attribute.
    """
    if not context:
        return None
    values: dict[str, tuple[str, ...]] = {}
    for name, value in context.items():
        spellings = value if isinstance(value, list) else [value]
        if all(isinstance(one, str) for one in spellings):
            values[name] = tuple(spellings)
    return Attributes.of(action, values) if values else None


def reason(one: Reason) -> decision_pb2.DecisionReason.ValueType:
    """Answer a reason; both sides spell them alike."""
    return _REASONS[one]


def decision(made: Decision, id: str, token: str, epoch: int) -> decision_pb2.Decision:
    """Answer a decision as the contract spells it."""
    return decision_pb2.Decision(
        allowed=made.allowed,
        reason=reason(made.reason),
        decision_id=id,
        evaluated_at=token,
        epoch=epoch,
        revision=made.revision,
    )
