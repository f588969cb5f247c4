"""Messages of the contract in their JSON form."""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

_PACKAGE = re.compile(r"stoa\.(?:catalog|replication|authz|type)\.v1")


def to_json(found: "Message | Mapping[str, Any]") -> dict[str, Any]:
    """The JSON form with every property that is set; a mapping is taken as it is.

    Raises:
        TypeError: an Any holds a message that this version does not know.
    """
    if isinstance(found, Mapping):
        return dict(found)
    from google.protobuf.json_format import MessageToDict

    try:
        return MessageToDict(found)
    except TypeError as error:
        # The metadata of an operation, or the details of its error: a message is known by its
        # full name once the module that holds it is imported.
        importlib.import_module("google.rpc.error_details_pb2")
        for package in set(_PACKAGE.findall(str(error))):
            import_messages(package)
        return MessageToDict(found)


def import_messages(package: str) -> None:
    """Import every module of messages of a package, such as `stoa.catalog.v1`."""
    folder = importlib.import_module(package)
    for found in pkgutil.iter_modules(folder.__path__):
        if found.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{found.name}")
