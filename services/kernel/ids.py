"""Identifiers that the server makes, and those that callers send as UUIDs."""

import re
import uuid

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UID = re.compile(r"[0-9a-f]{32}")
_NIL = "00000000-0000-0000-0000-000000000000"


def new_uid() -> str:
    """Make a uid: 32 lower-case hexadecimal digits of a random UUID."""
    return uuid.uuid4().hex


def is_uid(text: str) -> bool:
    """Whether `text` has the form that `new_uid` gives."""
    return _UID.fullmatch(text) is not None


def is_request_id(text: str) -> bool:
    """Whether `text` may be a request id: a UUID other than the zero one (AIP-155)."""
    return _UUID.fullmatch(text) is not None and text != _NIL
