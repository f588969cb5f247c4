"""What happens to soft-deleted versions by itself: retention ends, and they are purged."""

from dataclasses import replace
from datetime import datetime

from services.catalog.domain.desired import CATALOG_ITSELF, DELETE_ACTION, Authority
from services.catalog.domain.version import Version
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import version_delete
from services.kernel.ids import new_uid


def expire(tx: Tx, uid: str, now: datetime) -> bool:
    """Do what is due of a version; again: nothing. Answer whether anything was done.

    What is needed by another version stays, unusable, until it is not needed any more.
    """
    version = tx.versions.by_uid(uid, lock=True)
    if version is None:
        return False
    ended = _end_retention(tx, version, now)
    if ended.expiry_time is None or ended.expiry_time > now or tx.uses.users(ended.key, 1):
        return ended is not version
    version_delete.begin(tx, ended, _authority(ended))
    tx.operations.start_delete(ended.name, owner=CATALOG_ITSELF, resources=(ended.name,))
    return True


def _end_retention(tx: Tx, version: Version, now: datetime) -> Version:
    """Answer the version, which cannot be used any more where its retention is over."""
    due = version.expiry_time
    if due is None or due > now or version.retention_ended:
        return version
    ended = replace(version, retention_ended=True)
    tx.versions.write(ended, tx.versions.regions(version.uid))
    return ended


def _authority(version: Version) -> Authority:
    """Answer by what right the catalog acts by itself, which is to lower and to end."""
    return Authority(
        subject=CATALOG_ITSELF,
        action=DELETE_ACTION,
        demands=(),
        decision=new_uid(),
        revision=version.policy_revision,
    )
