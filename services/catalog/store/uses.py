"""Who needs what."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from services.catalog.store.tables import uses
from services.kernel.names import key

_USERS: Final = (
    select(uses.c.user_name)
    .where(uses.c.used_key == bindparam("k"))
    .order_by(uses.c.user_key)
    .limit(bindparam("n"))
)


class UseStore:
    """What may not be deleted, because something else needs it."""

    def __init__(self, tx: Connection) -> None:
        self._tx: Final = tx

    def add(self, used_key: str, user_name: str) -> None:
        """Record that a resource needs another."""
        row = {"used_key": used_key, "user_key": key(user_name), "user_name": user_name}
        self._tx.execute(insert(uses), row)

    def remove(self, user_key: str) -> None:
        """Forget everything that a resource needs."""
        self._tx.execute(delete(uses).where(uses.c.user_key == user_key))

    def users(self, used_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of what needs a resource."""
        return self._tx.execute(_USERS, {"k": used_key, "n": limit}).scalars().all()
