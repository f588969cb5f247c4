"""Storage accounts and VHDs between the contract and the domain."""

from stoa.catalog.v1 import storage_account_pb2 as pb
from stoa.catalog.v1 import vhd_pb2

from services.catalog.convert.common import fill
from services.catalog.domain.storage_account import StorageAccount, Vhd


def encode(account: StorageAccount) -> pb.StorageAccount:
    """Answer an account as the contract has it."""
    message = pb.StorageAccount(store=account.store)
    fill(message, account)
    return message


def encode_vhd(vhd: Vhd) -> vhd_pb2.Vhd:
    """Answer a VHD as the contract has it."""
    return vhd_pb2.Vhd(
        storage_account=vhd.storage_account,
        path=vhd.path,
        etag=vhd.etag,
        size_bytes=vhd.size_bytes,
    )


def decode_vhd(message: vhd_pb2.Vhd) -> Vhd:
    """Read which VHD is meant: account and path alone."""
    return Vhd(message.storage_account, message.path)
