"""What a collector of garbage must keep: everything that a ref or a running task leads to."""

from __future__ import annotations

from collections.abc import Iterator

from services.replication.content.errors import InvalidEncoding, ObjectMissing
from services.replication.content.journal import JOURNAL_LIMIT, decode_journal
from services.replication.content.keys import (
    BLOB_REFS,
    JOURNALS,
    VERSION_REFS,
    manifest_key,
    object_key,
)
from services.replication.content.refs import decode_blob_ref, decode_version_ref
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store


def live_roots(store: Store) -> Iterator[tuple[str, bytes]]:
    """Yield (tenant, manifest root) of every disk that a version or a blob refers to.

    A ref that cannot be decoded raises InvalidEncoding: collecting past it would lose data.
    """
    for item in store.list_objects(VERSION_REFS):
        stored = store.get_ref(item.key)
        if stored is not None:
            ref = decode_version_ref(stored.data)
            yield from ((ref.tenant, root) for root in ref.disks.values())
    for item in store.list_objects(BLOB_REFS):
        stored = store.get_ref(item.key)
        if stored is not None:
            blob = decode_blob_ref(stored.data)
            yield blob.tenant, blob.root


def live_keys(store: Store) -> Iterator[str]:
    """Yield the key of every manifest and object that a ref leads to; keys may repeat.

    Raises ObjectMissing or ObjectCorrupt where a manifest cannot be read: what it would keep is
    then not known, and nothing may be collected.
    """
    for tenant, root in set(live_roots(store)):
        yield manifest_key(tenant, root)
        manifest = read_manifest(store, tenant, root)
        for page in manifest.pages():
            yield object_key(tenant, page.digest)
        for segment in manifest.segments():
            for extent in segment.extents:
                yield object_key(tenant, extent.digest)


def journalled_digests(store: Store) -> Iterator[bytes]:
    """Yield the names of the objects that unfinished tasks rely on, of whatever tenant."""
    for item in store.list_objects(JOURNALS):
        try:
            journal = decode_journal(store.read(item.key, limit=JOURNAL_LIMIT))
        except (InvalidEncoding, ObjectMissing):
            continue
        for entry in journal.entries:
            if not entry.extents:
                yield entry.digest
            yield from (extent.digest for extent in entry.extents)
