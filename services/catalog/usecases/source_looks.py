"""Looking at bytes before a transaction: blobs and files, which the replication service knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.catalog.domain.disk_source import ByteSource, SourceKind
from services.catalog.domain.storage_account import StorageAccount
from services.catalog.ports.sources import Inspection, Sources
from services.catalog.ports.transaction import Transact, Tx
from services.kernel.names import key


def blob_of(name: str) -> ByteSource:
    """Answer how a blob is asked for."""
    return ByteSource(SourceKind.BLOB, name)


def file_of(store: str, path: str) -> ByteSource:
    """Answer how a file of an allowed store is asked for, whatever its entity tag is."""
    return ByteSource(SourceKind.STORE_FILE, store, path=path)


@dataclass(frozen=True, slots=True)
class Looks:
    """What was found, by what was asked for; None where there is none."""

    found: Mapping[ByteSource, Inspection | None]

    def of(self, source: ByteSource) -> Inspection | None:
        """Answer what was found, None also for what was not looked at.

        That is what came to be between the look and the transaction, and did not exist before.
        """
        return self.found.get(source)


NO_LOOKS: Final = Looks(MappingProxyType({}))


def look(
    sources: Sources,
    read: Transact,
    *,
    blobs: Iterable[str] = (),
    vhds: Iterable[tuple[str, str]] = (),
    image: str = "",
) -> Looks:
    """Look at blobs, at VHDs (pairs of an account and a path) and at the files of an image.

    `read` runs a transaction that only reads.

    Raises:
        Unavailable: the replication service does not answer.
    """
    wanted = [blob_of(name) for name in blobs]
    files = list(vhds)
    if files:
        accounts = read(lambda tx: _accounts(tx, [account for account, _ in files]))
        wanted += [
            file_of(accounts[key(account)].store, path)
            for account, path in files
            if key(account) in accounts
        ]
    if image:
        wanted += read(lambda tx: _files(tx, image))
    return Looks({one: sources.inspect(one) for one in dict.fromkeys(wanted)})


def _accounts(tx: Tx, names: Iterable[str]) -> Mapping[str, StorageAccount]:
    found = (tx.storage_accounts.get(key(name)) for name in dict.fromkeys(names))
    return {one.key: one for one in found if one is not None}


def _files(tx: Tx, image: str) -> list[ByteSource]:
    found = tx.managed_images.get(key(image))
    disks = () if found is None else found.disks
    return [
        file_of(one.source.name, one.source.path)
        for one in disks
        if one.source.kind is SourceKind.STORE_FILE
    ]
