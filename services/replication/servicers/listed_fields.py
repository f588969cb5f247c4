"""What lists of replications and of replicas are filtered and ordered by.

For each list: the fields that a filter may name, with their kinds or words; the columns of those
that are called otherwise in the database; and the orders, each made total by what follows it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from services.kernel.filter import Kind
from services.replication.convert.common import (
    AGGREGATED,
    COPY_STATE,
    HEALTH,
    REPLICATION_STATE,
    STORAGE_TYPE,
)

Fields = Mapping[str, Kind | Collection[str]]


def _words(wire: object, prefix: str) -> frozenset[str]:
    names: Sequence[str] = wire.keys()  # type: ignore[attr-defined]
    found = (name.removeprefix(prefix) for name in names)
    return frozenset(name for name in found if name != "UNSPECIFIED")


REPLICATION_FIELDS: Final[Fields] = {
    "state": _words(REPLICATION_STATE, "STATE_"),
    "aggregated_state": _words(AGGREGATED, "AGGREGATED_REPLICATION_STATE_"),
    "generation": Kind.INTEGER,
    "image_version_uid": Kind.STRING,
    "retry": Kind.BOOLEAN,
    "create_time": Kind.TIME,
    "end_time": Kind.TIME,
}
REPLICATION_COLUMNS: Final = {"aggregated_state": "aggregated", "image_version_uid": "version"}
REPLICATION_ORDERS: Final = {
    "create_time": ("create_time", "id"),
    "image_version": ("name_key", "id"),
}
REPLICA_FIELDS: Final[Fields] = {
    "location": Kind.STRING,
    "slot": Kind.STRING,
    "state": _words(COPY_STATE, "COPY_STATE_"),
    "health": _words(HEALTH, "REPLICA_HEALTH_"),
    "storage_account_type": _words(STORAGE_TYPE, "STORAGE_ACCOUNT_TYPE_"),
    "generation": Kind.INTEGER,
    "image_version_uid": Kind.STRING,
}
REPLICA_COLUMNS: Final = {
    "storage_account_type": "storage_type",
    "image_version_uid": "version",
}
REPLICA_ORDERS: Final = {
    "": ("name_key", "version", "location", "slot"),
    "location": ("location", "slot", "version"),
    "update_time": ("update_time", "version", "location", "slot"),
}
