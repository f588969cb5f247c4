"""Writes to the policy in processes that are killed between two statements.

Run as a program with the URL of a migrated database: for each place it forks a process that
writes and dies there, and one that looks at what is left, and prints a line of JSON. This one
opens no database and starts no thread, so that it can fork.
"""

import itertools
import json
import os
import signal
import sys
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine

from services.authz.convert import changes, entries
from services.authz.ports.policy import Command, Unit
from services.authz.store import tables as t
from services.authz.store.opening import Stores, open_stores
from services.authz.usecases import directory, principals
from services.authz.usecases.bootstrap import give_owner
from services.authz.usecases.principals import NewPrincipal
from services.kernel.clock import SystemClock
from services.kernel.db.engine import Database
from services.policy.model import PrincipalKind


def main(url: str) -> None:
    for place in itertools.count(1):
        died = in_child(lambda place=place: write(url, place))
        in_child(lambda died=died: look(url, died))
        if not died:
            return


def in_child(work: Any) -> bool:
    """Do something in a process of its own; answer whether it was killed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        sys.exit("a process failed")
    return False


def opened(url: str) -> Stores:
    return open_stores(Database.open(url), changes.entry, entries.decode, SystemClock())


def write(url: str, place: int) -> None:
    """Write several records of one revision, and die before the statement at `place`."""
    stores = opened(url)
    # What only reads has nothing to lose.
    stores.head.current()
    places = itertools.count(1)

    def step(*_: Any) -> None:
        if next(places) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    for moment in ("before_cursor_execute", "commit"):
        event.listen(Engine, moment, step)
    command = Command(
        method="test", resource="tenants/t", caller_id="ann", request_id="1", digest=b"1"
    )
    stores.policy.write(command, put, lambda answer: answer)


def put(unit: Unit) -> bytes:
    tenant = directory.create_tenant(unit, "tenants/t", "A tenant")
    made = [
        principals.create(
            unit, NewPrincipal(f"tenants/t/{name}", kind, display_name=name), frozenset()
        )
        for name, kind in (("users/ann", PrincipalKind.USER), ("groups/all", PrincipalKind.GROUP))
    ]
    unit.join(made[1].name, [made[0]])
    give_owner(unit, made[0], tenant.name)
    return b"done"


def look(url: str, died: bool) -> None:
    stores = opened(url)

    def read(connection: Any) -> dict[str, Any]:
        def count(table: Any) -> int:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

        tables = (t.TENANTS, t.PRINCIPALS, t.MEMBERSHIPS, t.ROLE_ASSIGNMENTS)
        return {
            "died": died,
            "facts": [count(table) for table in tables],
            "audit": count(t.AUDIT_RECORDS),
            "revision": stores.log.head(connection).position,
            "replies": count(t.REQUEST_LOG),
        }

    print(json.dumps(stores.db.read(read)))


if __name__ == "__main__":
    main(sys.argv[1])
