"""The keys that secure boot of a machine starts with (gallery-semantics 1.3).

Stored beside a version, not in it: they never change, may be large, and are answered in one view.
The version keeps their digest, to tell a change.
"""

import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.kernel.violations import Violations

_SHA256_BYTES: Final = hashlib.sha256().digest_size
_SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80


class UefiTemplate(enum.Enum):
    """A set of keys to begin with."""

    NO_SIGNATURE = "NO_SIGNATURE"
    MICROSOFT_UEFI_CERTIFICATE_AUTHORITY = "MICROSOFT_UEFI_CERTIFICATE_AUTHORITY"
    MICROSOFT_WINDOWS = "MICROSOFT_WINDOWS"


class UefiKeyType(enum.Enum):
    """What the values of a key are."""

    SHA256 = "SHA256"
    X509 = "X509"


@dataclass(frozen=True, slots=True)
class UefiKey:
    """A key, or several of one kind; `type` is None where the request gave none."""

    type: UefiKeyType | None
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class UefiSettings:
    """Templates, and keys by the database of the firmware that they go into."""

    templates: tuple[UefiTemplate, ...] = ()
    pk: UefiKey | None = None
    kek: tuple[UefiKey, ...] = ()
    db: tuple[UefiKey, ...] = ()
    dbx: tuple[UefiKey, ...] = ()

    @property
    def digest(self) -> str:
        """What settings are compared by."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def check(settings: UefiSettings, path: str, violations: Violations) -> None:
    """Note values that are not of the type of their key."""
    for key, field in _keys(settings, f"{path}.additional_signatures"):
        for index, value in enumerate(key.values):
            if key.type is UefiKeyType.SHA256 and len(value) != _SHA256_BYTES:
                violations.add(f"{field}.values[{index}]", "a SHA-256 digest has 32 bytes")
            if key.type is UefiKeyType.X509 and not _is_der(value):
                violations.add(f"{field}.values[{index}]", "is no certificate in DER")


def _keys(settings: UefiSettings, path: str) -> Iterator[tuple[UefiKey, str]]:
    if settings.pk is not None:
        yield settings.pk, f"{path}.pk"
    for name in ("kek", "db", "dbx"):
        for index, key in enumerate(getattr(settings, name)):
            yield key, f"{path}.{name}[{index}]"


def _is_der(value: bytes) -> bool:
    """Whether bytes are one DER sequence, which is what a certificate is, and nothing after it."""
    if len(value) < 2 or value[0] != _SEQUENCE:
        return False
    length, start = value[1], 2
    if length > _LONG_FORM:
        start += length - _LONG_FORM
        length = int.from_bytes(value[2:start], "big")
    return len(value) == start + length
