"""The rules that the contract puts on its fields, checked by protovalidate."""

from collections.abc import Iterable
from typing import Any, Final

import protovalidate
from google.protobuf.message import Message

from services.kernel.violations import Violations

# Compiled rules are kept per message type; one validator serves all threads.
_VALIDATOR: Final = protovalidate.Validator()


def warm(requests: Iterable[type[Message]]) -> None:
    """Compile the rules of the request types, so that no first call pays and bad rules stop us.

    Raises:
        protovalidate.CompilationError: a rule of the contract does not compile.
    """
    for request in requests:
        _VALIDATOR.collect_violations(request())


def collect(request: Message, violations: Violations) -> None:
    """Add every broken rule of `request`, with the path as the contract spells it."""
    for found in _VALIDATOR.collect_violations(request):
        broken = found.proto
        path = _path(broken.field.elements) if broken.field is not None else ""
        violations.add(path, broken.message or broken.rule_id)


def _path(elements: Iterable[Any]) -> str:
    parts: list[str] = []
    for element in elements:
        subscript = element.subscript
        part = element.field_name
        if subscript is not None:
            value = subscript.value
            part += f'["{value}"]' if isinstance(value, str) else f"[{value}]"
        parts.append(part)
    return ".".join(parts)
