"""Storage accounts, and the VHDs in them."""

from dataclasses import dataclass

from services.catalog.domain.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccount(Resource):
    """An account: `store` is an entry of the stores that the operator allowed as sources."""

    store: str


@dataclass(frozen=True, slots=True)
class Vhd:
    """A VHD: the name of its account, and the path below the account's root.

    `etag` is its entity tag when it was accepted, `size_bytes` as the guest sees it.
    """

    storage_account: str
    path: str
    etag: str = ""
    size_bytes: int = 0
