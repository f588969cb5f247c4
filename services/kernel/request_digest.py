"""The digest by which a repeated request id is recognised as the same request."""

import hashlib
from collections.abc import Mapping

from services.kernel.names import key


def request_digest(method: str, names: Mapping[str, str], body: bytes) -> bytes:
    """Hash a request, 32 bytes.

    `names` maps the request's fields that hold resource names to their values, which
    count by key: a repeat that spells a name differently is still a repeat. `body` is
    the rest, serialised deterministically, without those fields and the request id.
    """
    digest = hashlib.sha256()
    keyed = sorted((field, key(value)) for field, value in names.items())
    for part in (method, *(text for pair in keyed for text in pair)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    digest.update(body)
    return digest.digest()
