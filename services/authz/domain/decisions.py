"""Decisions that were made, kept for a while so that they can be explained."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.policy.model import Plane


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """A decision and the question that it answers; of several questions, the one that decided.

    `subject` is the key of the principal, known or not. `reason` is that of the decision, for
    several questions another than that of the one alone. `context` holds values of JSON.
    """

    id: str
    subject: str
    action: str
    resource: str
    plane: Plane
    context: Mapping[str, Any]
    allowed: bool
    reason: str
    epoch: int
    revision: int
    time: datetime
