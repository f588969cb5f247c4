"""Page sizes and page tokens (AIP-158).

A token holds the key values of the last row that was answered, signed together with
what the list was asked for, so that it continues that list of that caller and no
other. It is signed, not encrypted: put into it only what the caller has seen.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.kernel.errors import InvalidArgument
from services.kernel.names import key

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000
MAX_TOKEN_LENGTH: Final = 4096
PAGE_TOKEN_INVALID: Final = "PAGE_TOKEN_INVALID"  # noqa: S105 - the reason of an error

KeyValue = str | int

_VERSION = 1
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class PageBinding:
    """What a list was asked for: a token of another binding is refused.

    `parent` is compared by key. `extra` holds any other argument that changes which
    rows are listed, for example `show_deleted=true`.
    """

    method: str
    parent: str
    caller: str
    filter: str = ""
    order_by: str = ""
    extra: str = ""

    def digest(self) -> bytes:
        """Hash the binding; equal exactly for equal lists."""
        parts = (
            self.method,
            key(self.parent),
            self.caller,
            self.filter,
            self.order_by,
            self.extra,
        )
        return hashlib.sha256(json.dumps(parts).encode()).digest()


class PageTokens:
    """Makes and checks page tokens with a secret that all processes of a service share.

    Tokens are signed with the first secret and accepted with any, so that a secret can
    be replaced without breaking the lists under way.
    """

    def __init__(self, secret: bytes, *former: bytes) -> None:
        if any(len(one) < 16 for one in (secret, *former)):
            raise ValueError("a page token secret has at least 16 bytes")
        self._secrets: Final = (secret, *former)

    def encode(self, values: Sequence[KeyValue], binding: PageBinding) -> str:
        """Make the token that continues after the row with these key values."""
        body = json.dumps([_VERSION, *values], separators=(",", ":")).encode()
        mac = _sign(self._secrets[0], binding, body)
        return base64.urlsafe_b64encode(mac + body).rstrip(b"=").decode()

    def decode(self, token: str, binding: PageBinding) -> tuple[KeyValue, ...] | None:
        """Answer the key values to continue after; None for the empty token.

        Raises:
            InvalidArgument: PAGE_TOKEN_INVALID, the token is damaged or of another list.
        """
        if not token:
            return None
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise _invalid()
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error as error:
            raise _invalid() from error
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _sign(one, binding, body)) for one in self._secrets):
            raise _invalid()
        version, *values = json.loads(body)
        if version != _VERSION:
            raise _invalid()
        return tuple(values)


def page_size(requested: int, *, default: int = DEFAULT_PAGE_SIZE, cap: int = MAX_PAGE_SIZE) -> int:
    """Answer how many rows a page has: zero means the default, more than the cap the cap.

    Raises:
        InvalidArgument: a negative size.
    """
    if requested < 0:
        raise InvalidArgument.of("page_size", "a page size is not negative")
    return min(requested or default, cap)


def _sign(secret: bytes, binding: PageBinding, body: bytes) -> bytes:
    return hmac.digest(secret, binding.digest() + body, "sha256")[:_MAC_BYTES]


def _invalid() -> InvalidArgument:
    return InvalidArgument.of(
        "page_token",
        "the token is damaged, or belongs to another list, filter, order or caller",
        reason=PAGE_TOKEN_INVALID,
    )
