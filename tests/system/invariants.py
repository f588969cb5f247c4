"""What holds in the databases of an installation once it has nothing more to do.

They are read as they are, and never written: what is half-done shows in rows that no call answers.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from services.policy.builtin_roles import BY_ID
from tests.system.installation import Installation

# Seconds after which what has not come to rest never will.
_PATIENCE: Final = 240.0
_RESOURCES: Final = (
    "resource_groups",
    "galleries",
    "image_definitions",
    "image_versions",
    "virtual_machines",
    "disks",
    "snapshots",
    "managed_images",
    "storage_accounts",
    "disk_encryption_sets",
)
_HOLDERS: Final = ("disks", "snapshots", "managed_images", "image_versions")
_ALL_KEYS: Final = " UNION ALL ".join(f"SELECT key FROM {table}" for table in _RESOURCES)
_SHOWN: Final = 20


class Databases:
    """The databases of an installation, in one connection that cannot write."""

    def __init__(self, installation: Installation) -> None:
        self._connection: Final = sqlite3.connect(":memory:", uri=True)
        for service in ("catalog", "replication", "authz"):
            path = installation.layout.state(service) / f"{service}.db"
            self._connection.execute(f"ATTACH '{path.as_uri()}?mode=ro' AS {service}")
        self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str) -> list[sqlite3.Row]:
        return self._connection.execute(statement).fetchall()

    def texts(self, statement: str) -> list[str]:
        """Each row as one text."""
        return [" ".join(map(str, row)) for row in self.rows(statement)]


def broken(installation: Installation) -> list[str]:
    """Answer everything that does not hold now."""
    with closing(Databases(installation)) as db:
        return [f"{name}: {one}" for name, check in _CHECKS.items() for one in check(db)]


def assert_at_rest(installation: Installation) -> None:
    """Wait until everything has ended that was begun, and nothing is left half-done."""
    until = time.monotonic() + _PATIENCE
    while (found := broken(installation)) and time.monotonic() < until:
        time.sleep(0.5)
    shown = "\n".join(found[:_SHOWN])
    assert not found, f"{len(found)} things are half-done:\n{shown}"


def _unsent(db: Databases) -> Iterator[str]:
    for service in ("catalog", "replication"):
        yield from db.texts(
            f"SELECT '{service}', kind, aggregate, attempts, last_error FROM {service}.outbox"
            " WHERE sent_time IS NULL"
        )


def _unfinished_operations(db: Databases) -> Iterator[str]:
    for service in ("catalog", "replication"):
        yield from db.texts(
            f"SELECT '{service}', verb, target, id FROM {service}.operations"
            " WHERE end_time IS NULL OR (response IS NULL) = (error IS NULL)"
        )


def _unfinished_resources(db: Databases) -> Iterator[str]:
    for table in _RESOURCES:
        yield from db.texts(
            f"SELECT state, name FROM catalog.{table} WHERE state NOT IN ('SUCCEEDED', 'FAILED')"
        )


def _orphans(db: Databases) -> Iterator[str]:
    """Resources whose parent is gone."""
    for table in _RESOURCES[1:]:
        yield from db.texts(
            f"SELECT name FROM catalog.{table} WHERE parent_key NOT IN"
            " (SELECT key FROM resource_groups UNION ALL SELECT key FROM galleries"
            " UNION ALL SELECT key FROM image_definitions)"
        )


def _regions_without_version(db: Databases) -> list[str]:
    return db.texts(
        "SELECT version_key, location FROM catalog.version_regions AS r WHERE NOT EXISTS"
        " (SELECT 1 FROM image_versions AS v WHERE v.uid = r.version_uid"
        " AND v.key = r.version_key)"
    )


def _uses(db: Databases) -> list[str]:
    """Uses by what is gone, or of it."""
    return db.texts(
        f"WITH present AS MATERIALIZED ({_ALL_KEYS}) SELECT user_name, 'needs', used_key"
        " FROM catalog.uses WHERE user_key NOT IN present OR used_key NOT IN present"
    )


def _pending_shares(db: Databases) -> list[str]:
    return db.texts("SELECT name FROM galleries WHERE sharing_pending_since IS NOT NULL")


def _counters(db: Databases) -> Iterator[str]:
    """Counters that are not what their rows are."""
    counted = " UNION ALL ".join(
        f"SELECT subscription_key AS s, location AS l, '{counter}' AS c, 1 AS n FROM {table}"
        for counter, table in (
            ("galleries", "galleries"),
            ("imageDefinitions", "image_definitions"),
            ("imageVersions", "image_versions"),
        )
    )
    regions = " UNION ALL ".join(
        f"SELECT v.subscription_key, r.location, '{counter}', {value}"
        " FROM catalog.version_regions AS r JOIN image_versions AS v ON v.uid = r.version_uid"
        for counter, value in (
            ("replicas", "COALESCE(json_extract(r.document, '$.good'), 0)"),
            ("storedBytes", "r.stored_bytes"),
        )
    )
    yield from db.texts(
        f"WITH rows AS ({counted} UNION ALL {regions}),"
        " kept AS (SELECT subscription_key AS s, location AS l, counter AS c, value AS n"
        " FROM usage_counters WHERE counter NOT LIKE 'crossedBytes/%'),"
        " together AS (SELECT s, l, c, n AS is_row, 0 AS is_kept FROM rows"
        " UNION ALL SELECT s, l, c, 0, n FROM kept)"
        " SELECT s, l, c, SUM(is_row), 'rows', SUM(is_kept), 'counted' FROM together"
        " GROUP BY s, l, c HAVING SUM(is_row) <> SUM(is_kept)"
    )
    yield from db.texts("SELECT * FROM usage_counters WHERE value < 0")


def _holds(db: Databases) -> Iterator[str]:
    """Blobs that are held for what is gone, and those that are not held for what is there."""
    holders = " UNION ALL ".join(f"SELECT uid FROM {table}" for table in _HOLDERS)
    yield from db.texts(
        "SELECT b.name, 'is held for', h.source FROM blob_holds AS h"
        f" JOIN blobs AS b ON b.uid = h.blob WHERE h.source_uid NOT IN ({holders})"
    )
    for table in ("disks", "snapshots"):
        yield from db.texts(
            f"SELECT s.name, 'holds no', s.blob_key FROM {table} AS s"
            " WHERE s.state = 'SUCCEEDED' AND NOT EXISTS (SELECT 1 FROM blob_holds AS h"
            " JOIN blobs AS b ON b.uid = h.blob"
            " WHERE h.source_uid = s.uid AND b.name_key = s.blob_key)"
        )
    yield from db.texts(
        "SELECT name, 'is held and will expire' FROM blobs WHERE expire_time IS NOT NULL"
        " AND uid IN (SELECT blob FROM blob_holds)"
    )


def _wanted(db: Databases) -> Iterator[str]:
    """Versions that the catalog has and replication does not, and the other way round."""
    yield from db.texts(
        "SELECT v.name, 'is not replicated' FROM image_versions AS v WHERE NOT EXISTS (SELECT 1"
        " FROM versions AS r WHERE r.uid = v.uid AND NOT r.withdrawn"
        " AND r.generation = v.generation)"
    )
    yield from db.texts(
        "SELECT name, 'is still replicated' FROM versions WHERE NOT withdrawn"
        " AND uid NOT IN (SELECT uid FROM image_versions)"
    )


def _told(db: Databases) -> list[str]:
    """Regions that are not as the feed of replication told, once the catalog has followed it."""
    return db.texts(
        "SELECT c.version_key, c.location, c.state, r.state FROM catalog.version_regions AS c"
        " JOIN replication.version_regions AS r"
        " ON r.version = c.version_uid AND r.location = c.location"
        " WHERE c.state <> r.state OR COALESCE(json_extract(c.document, '$.good'), 0) <> r.good"
    )


def _replicas(db: Databases) -> Iterator[str]:
    """Copies under way, and copies of what nobody wants."""
    yield from db.texts(
        "SELECT state, version, location, slot, cause FROM replication.replicas"
        " WHERE state NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'REMOVED')"
    )
    yield from db.texts(
        "SELECT r.state, r.version, r.location, 'is not wanted' FROM replication.replicas AS r"
        " JOIN versions AS v ON v.uid = r.version WHERE v.withdrawn AND r.state <> 'REMOVED'"
    )
    yield from db.texts("SELECT blob, 'is not yet removed' FROM blob_removals")


def _replications(db: Databases) -> Iterator[str]:
    yield from db.texts("SELECT id, state FROM replications WHERE end_time IS NULL")
    yield from db.texts("SELECT id FROM replications WHERE final IS NULL")
    yield from db.texts(
        "SELECT r.id, r.sequence, r.horizon, COUNT(e.sequence) FROM replications AS r"
        " LEFT JOIN events AS e ON e.replication = r.id AND e.sequence > r.horizon"
        " GROUP BY r.id HAVING COUNT(e.sequence) <> r.sequence - r.horizon"
    )


def _policy(db: Databases) -> Iterator[str]:
    """Entries of the policy about what is gone."""
    yield from db.texts(
        "SELECT gallery, 'is gone and shared' FROM sharing_grants"
        " WHERE gallery_uid NOT IN (SELECT uid FROM galleries)"
    )
    for table in ("role_assignments", "deny_assignments", "eligible_assignments"):
        yield from db.texts(
            f"SELECT a.name, 'outlived', t.scope FROM {table} AS a JOIN scope_tombstones AS t"
            " ON (a.scope_key = t.scope_key OR a.scope_key LIKE t.scope_key || '/%')"
            " AND a.create_time < t.create_time"
        )
    for column in ("group_key", "member_key"):
        yield from db.texts(
            f'SELECT "group", member FROM memberships'
            f" WHERE {column} NOT IN (SELECT key FROM principals)"
        )
    yield from db.texts(
        "SELECT deny_key FROM deny_principals"
        " WHERE deny_key NOT IN (SELECT key FROM deny_assignments)"
    )
    yield from db.texts(
        "SELECT name FROM subscriptions WHERE tenant_key NOT IN (SELECT key FROM tenants)"
        " OR parent_key NOT IN (SELECT key FROM management_groups)"
    )
    for table in ("role_assignments", "eligible_assignments"):
        for row in db.rows(
            f"SELECT name, role_definition FROM {table} WHERE role_key NOT IN"
            " (SELECT key FROM role_definitions)"
        ):
            if row["role_definition"].rpartition("/")[2] not in BY_ID:
                yield f"{row['name']} gives {row['role_definition']}"


def _audit(db: Databases) -> Iterator[str]:
    """Records whose digest is not what their fields and the record before make."""
    ends = {row["chain"]: row for row in db.rows("SELECT * FROM audit_chains")}
    last: dict[str, tuple[int, str]] = {}
    for row in db.rows("SELECT * FROM audit_records ORDER BY chain, sequence"):
        # The oldest records may have been dropped with their time.
        sequence, digest = last.get(
            row["chain"], (row["sequence"] - 1, row["previous_digest"] or "")
        )
        if (row["sequence"], row["previous_digest"]) != (sequence + 1, digest):
            yield f"{row['name']} does not follow {sequence} {digest}"
        if row["digest"] != _digest(row):
            yield f"{row['name']} was changed"
        last[row["chain"]] = (row["sequence"], row["digest"])
    for chain, row in ends.items():
        if chain in last and last[chain] != (row["sequence"], row["digest"]):
            yield f"{chain} ends with {last[chain]}"


_DIGESTED: Final = (
    "previous_digest", "name", "sequence", "event_time", "caller", "workload", "method", "action",
    "resource", "outcome", "reason", "decision_id", "revision", "request_id", "trace_parent",
)  # fmt: skip


def _digest(row: Mapping[str, Any] | sqlite3.Row) -> str:
    fields = [row[name] for name in _DIGESTED]
    fields += [_doubles(json.loads(row["details"])), row["create_time"]]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _doubles(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_doubles(one) for one in value]
    return float(value) if type(value) is int else value


_CHECKS: Final[Mapping[str, Callable[[Databases], Iterator[str] | list[str]]]] = {
    "a message that was not sent": _unsent,
    "an operation that has not ended": _unfinished_operations,
    "a resource that is still being changed": _unfinished_resources,
    "a resource without its parent": _orphans,
    "a region without its version": _regions_without_version,
    "a use of or by what is gone": _uses,
    "a share that is pending": _pending_shares,
    "a counter that is not its rows": _counters,
    "a blob that is held wrongly": _holds,
    "a version that one service has": _wanted,
    "a region that the catalog sees otherwise": _told,
    "a replica that is not at rest": _replicas,
    "a replication that is not over": _replications,
    "an entry of the policy": _policy,
    "the audit log": _audit,
}
