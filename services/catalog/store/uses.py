"""Who needs what."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, not_, select

from services.catalog.store.tables import uses
from services.kernel.db.listing import at_or_below
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

    def replace(self, user_name: str, used_keys: Sequence[str]) -> None:
        """Record what a resource needs now, all of it."""
        self.remove(key(user_name))
        for one in used_keys:
            self.add(one, user_name)

    def from_outside(self, scope_key: str, limit: int) -> Sequence[tuple[str, str]]:
        """Answer at most `limit` uses of what is at or below a scope by what is not.

        Each is the key of what is used and the name of what uses it.
        """
        statement = (
            select(uses.c.used_key, uses.c.user_name)
            .where(
                at_or_below(uses.c.used_key, scope_key),
                not_(at_or_below(uses.c.user_key, scope_key)),
            )
            .order_by(uses.c.used_key, uses.c.user_key)
            .limit(limit)
        )
        return [(row[0], row[1]) for row in self._tx.execute(statement)]

    def users(self, used_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of what needs a resource."""
        return self._tx.execute(_USERS, {"k": used_key, "n": limit}).scalars().all()
