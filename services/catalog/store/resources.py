"""Rows of resources: the statements that all kinds share, built once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.catalog.domain.names import subscription_of
from services.catalog.domain.resource import Resource
from services.catalog.domain.usage import Metric
from services.catalog.store.documents import dump, load
from services.catalog.store.usage import UsageCounters
from services.kernel.db.listing import at_or_below
from services.kernel.errors import AlreadyExists
from services.kernel.names import key, parent

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """One kind of resource: its type in the contract, its table, and how its rows are filled."""

    resource_type: str
    table: Table
    cls: type[R]
    body: Callable[[R], bytes]
    columns: Callable[[R], Mapping[str, Any]]


class Statements(Generic[R]):
    """The statements of one kind, shared by all transactions."""

    def __init__(self, kind: Kind[R]) -> None:
        t = kind.table.c
        self.kind: Final = kind
        found = select(t.document).where(t.key == bindparam("k"))
        self.get: Final = found
        self.get_locked: Final = found.with_for_update()
        self.get_shared: Final = found.with_for_update(read=True)
        self.by_uid: Final = select(t.document).where(t.uid == bindparam("u"))
        self.insert: Final = insert(kind.table)
        self.update: Final = update(kind.table).where(t.key == bindparam("k"))
        self.delete: Final = delete(kind.table).where(t.key == bindparam("k"))
        self.delete_counted: Final = self.delete.returning(t.subscription_key, t.location)
        self.names_below: Final = (
            select(t.name)
            .where(t.parent_key == bindparam("p"))
            .order_by(t.parent_key, t.key)
            .limit(bindparam("n"))
        )

    def row(self, resource: R) -> dict[str, Any]:
        """Answer the values of all columns."""
        found = key(resource.name)
        return {
            "key": found,
            "parent_key": parent(found),
            "subscription_key": subscription_of(found),
            "name": resource.name,
            "uid": resource.uid,
            "location": resource.location,
            "state": resource.state.value,
            "revision": resource.revision,
            "policy_revision": resource.policy_revision,
            "create_time": resource.create_time,
            "update_time": resource.update_time,
            "tags": dict(resource.tags),
            "document": dump(resource),
            "body": self.kind.body(resource),
            **self.kind.columns(resource),
        }


class ResourceStore(Generic[R]):
    """The rows of one kind in one transaction."""

    def __init__(self, tx: Connection, statements: Statements[R]) -> None:
        self._tx: Final = tx
        self._statements: Final = statements

    def get(self, key: str, *, lock: bool = False, share: bool = False) -> R | None:
        """Answer a resource; `lock` keeps others from changing it, `share` from deleting it."""
        s = self._statements
        statement = s.get_locked if lock else s.get_shared if share else s.get
        return self._loaded(self._tx.execute(statement, {"k": key}).scalar_one_or_none())

    def insert(self, resource: R) -> None:
        """Add a resource.

        Raises:
            AlreadyExists: the name, or another unique property, was taken at the same moment.
        """
        try:
            self._tx.execute(self._statements.insert, self._statements.row(resource))
        except IntegrityError as error:
            raise AlreadyExists.of(self._statements.kind.resource_type, resource.name) from error

    def update(self, resource: R) -> None:
        """Replace a resource."""
        values = self._statements.row(resource)
        # By its parameters, so that the statement is compiled once for all rows.
        self._tx.execute(self._statements.update, values | {"k": values["key"]})

    def delete(self, key: str) -> None:
        """Remove a resource."""
        self._tx.execute(self._statements.delete, {"k": key})

    def within(self, scope_key: str) -> Sequence[R]:
        """Answer all resources below a scope, in the order of their keys, locked."""
        t = self._statements.kind.table.c
        statement = (
            select(t.document)
            .where(t.key != scope_key, at_or_below(t.key, scope_key))
            .order_by(t.key)
            .with_for_update()
        )
        cls = self._statements.kind.cls
        return [load(cls, document) for document in self._tx.execute(statement).scalars()]

    def names_below(self, parent_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of what has this parent, in the order of their keys."""
        found = self._tx.execute(self._statements.names_below, {"p": parent_key, "n": limit})
        return found.scalars().all()

    def _loaded(self, document: Any) -> R | None:
        return None if document is None else load(self._statements.kind.cls, document)


class CountedStore(ResourceStore[R]):
    """The rows of a kind of which a subscription may have so many in a region."""

    def __init__(
        self,
        tx: Connection,
        statements: Statements[R],
        metric: Metric,
        counters: UsageCounters,
    ) -> None:
        super().__init__(tx, statements)
        self._metric: Final = metric
        self._counters: Final = counters

    def insert(self, resource: R) -> None:
        """Add a resource; that there is one too many shows at the end of the transaction.

        Raises:
            AlreadyExists: the name, or another unique property, was taken at the same moment.
        """
        super().insert(resource)
        self.count(subscription_of(resource.key), resource.location, 1)

    def delete(self, key: str) -> None:
        """Remove a resource."""
        for row in self._tx.execute(self._statements.delete_counted, {"k": key}):
            self.count(row.subscription_key, row.location, -1)

    def count(self, subscription_key: str, location: str, delta: int) -> None:
        """Count rows that came or went."""
        self._counters.add(subscription_key, location, self._metric.value, delta)
