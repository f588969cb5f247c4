"""What sources are found by."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from services.kernel.db.tables import KeyText

revision = "0002"
down_revision = "0001"

_SYSTEM: Final = {"hyper_v_generation": sa.Text(), "architecture": sa.Text()}
_DISK: Final = {"blob_key": KeyText, **_SYSTEM}
# The tables were there before anything was ever put into them: no row takes the default.
_REQUIRED: Final[Mapping[str, Mapping[str, Any]]] = {
    "virtual_machines": {"os_type": sa.Text(), "os_state": sa.Text(), **_SYSTEM},
    "disks": {**_DISK, "disk_type": sa.Text()},
    "snapshots": _DISK,
    "storage_accounts": {"store": sa.Text()},
    "disk_encryption_sets": {"encryption_type": sa.Text()},
}


def upgrade() -> None:
    """Add the columns that sources are filtered by."""
    for table, columns in _REQUIRED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=""))
    for table in ("disks", "snapshots"):
        for name in ("os_type", "os_state"):
            op.add_column(table, sa.Column(name, sa.Text()))
