"""Disk encryption sets: a customer's key for the disks of a region."""

import enum
from dataclasses import dataclass

from services.catalog.domain.resource import Resource


class EncryptionType(enum.Enum):
    """What a key protects."""

    AT_REST_WITH_CUSTOMER_KEY = "AT_REST_WITH_CUSTOMER_KEY"
    AT_REST_WITH_PLATFORM_AND_CUSTOMER_KEYS = "AT_REST_WITH_PLATFORM_AND_CUSTOMER_KEYS"
    CONFIDENTIAL_VM_WITH_CUSTOMER_KEY = "CONFIDENTIAL_VM_WITH_CUSTOMER_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskEncryptionSet(Resource):
    """A set: `key_uri` identifies the key and is never called."""

    key_uri: str
    encryption_type: EncryptionType = EncryptionType.AT_REST_WITH_CUSTOMER_KEY
