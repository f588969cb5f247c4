"""Changing a gallery, its sharing mode and its community texts included."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from services.catalog.domain import names, reasons
from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import (
    CommunityTexts,
    Gallery,
    Sharing,
    SharingMode,
    SoftDeletePolicy,
)
from services.catalog.ports.calls import Context, Subscriptions
from services.catalog.ports.policy import SharingAuthority
from services.catalog.ports.rows import ShownGallery
from services.catalog.ports.transaction import Mutation, Transact, Tx
from services.catalog.usecases import checks, gallery_contents, pending_sharing
from services.catalog.usecases.galleries import SHARE_ACTION, check_texts, new_public_name
from services.catalog.usecases.resource_groups import tags_after
from services.catalog.usecases.updates import Update, admit, refuse_absent, revised
from services.kernel.clock import Clock
from services.kernel.errors import Aborted, NotFound, StoaError
from services.kernel.field_mask import FieldTable, replaced
from services.kernel.names import Name
from services.kernel.violations import Violations

_LOG = logging.getLogger(__name__)
_SHARING: Final = "sharing_profile"
_TEXTS: Final = f"{_SHARING}.community_gallery_info"
_SOFT: Final = "soft_delete_policy"
FIELDS: Final = FieldTable(
    mutable=frozenset(
        {
            "description",
            "allow_copy",
            f"{_SOFT}.enabled",
            f"{_SOFT}.retention_duration",
            f"{_SOFT}.grace_duration",
            f"{_SHARING}.mode",
            f"{_TEXTS}.publisher_uri",
            f"{_TEXTS}.publisher_contact",
            f"{_TEXTS}.eula",
            f"{_TEXTS}.privacy_statement_uri",
            f"{_TEXTS}.public_name_prefix",
            "tags",
        }
    ),
    immutable=frozenset({"location"}),
    output_only=frozenset(
        {
            "unique_name",
            f"{_SHARING}.groups",
            f"{_TEXTS}.community_gallery_enabled",
            f"{_TEXTS}.public_names",
            f"{_TEXTS}.blocked_consumers",
            "sharing_status",
            "create_time",
            "update_time",
            "uid",
            "provisioning_state",
        }
    ),
    maps=frozenset({"tags"}),
)
_SOFT_FIELDS: Final = {
    "enabled": "enabled",
    "retention_duration": "retention",
    "grace_duration": "grace",
}


def update(
    command: Update,
    context: Context,
    mutation: Mutation[ShownGallery],
    *,
    subscriptions: Subscriptions,
    transact: Transact,
    authority: SharingAuthority,
) -> bytes:
    """Change a gallery; what the policy is to know of it is told to authz at once.

    Where authz does not answer, the workers process tells it later.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: sharing and soft delete need `galleries/share/action` too.
        NotFound: there is no such gallery.
        Aborted: ETAG_MISMATCH, SHARING_PENDING, or the gallery is being deleted.
    """
    asked = FIELDS.changes(command.mask, command.sent, {}, Violations())
    if any(path.startswith((_SHARING, _SOFT)) for path in asked):
        context.access.require(SHARE_ACTION, command.name.text)

    def work(tx: Tx) -> ShownGallery:
        violations = context.violations.copy()
        checks.subscription(subscriptions, command.name.text, violations)
        gallery = tx.galleries.get(command.name.key, lock=True)
        if gallery is None:
            absent = NotFound.of(names.GALLERY_TYPE, command.name.text)
            raise refuse_absent(command, FIELDS, violations, absent)
        changes = FIELDS.changes(
            command.mask, command.sent, {"location": gallery.location}, violations
        )
        changed = replace(
            gallery,
            description=changes.get("description", gallery.description) or "",
            allow_copy=bool(changes.get("allow_copy", gallery.allow_copy)),
            tags=tags_after(gallery.tags, changes),
            soft_delete=_soft_delete(gallery, changes),
            sharing=_sharing(gallery, changes, violations),
        )
        if changed.sharing.mode is not gallery.sharing.mode:
            gallery_contents.check(tx, changed, violations)
        if _keeps_deleted(changed) and not _keeps_deleted(gallery):
            _check_one_region(tx, changed, violations)
        admit(tx, gallery, command.etag, violations)
        copies = changed.allow_copy is not gallery.allow_copy
        if gallery.pending is not None and (copies or changed.sharing != gallery.sharing):
            raise Aborted(
                f"a change of the sharing of {gallery.name} is not finished",
                reason=reasons.SHARING_PENDING,
                metadata={"resource": gallery.name},
            )
        if changed.sharing.public_name != gallery.sharing.public_name:
            tx.galleries.reserve_public_name(changed.sharing.public_name, gallery.uid)
        changed = revised(changed, context)
        if copies and changed.sharing.shared:
            changed = pending_sharing.retold(changed, context)
        tx.galleries.update(changed)
        return ShownGallery(changed, tx.galleries.view_locations(changed.key))

    reply = mutation.commit(work)
    if "allow_copy" in asked:
        _tell(command.name, transact, authority, context.clock)
    return reply


def _tell(name: Name, transact: Transact, authority: SharingAuthority, clock: Clock) -> None:
    """Tell the policy what is said anew of a gallery, if anything is."""
    gallery = transact(lambda tx: tx.galleries.get(name.key))
    if gallery is None or gallery.pending is None or gallery.pending.change is not None:
        return
    try:
        pending_sharing.finish(gallery, transact, authority, clock)
    except StoaError:
        _LOG.info("authz is told of %s later", gallery.name, exc_info=True)


def _soft_delete(gallery: Gallery, changes: Mapping[str, Any]) -> SoftDeletePolicy | None:
    plain = SoftDeletePolicy()
    parts = {
        _SOFT_FIELDS[path.rpartition(".")[2]]: value
        for path, value in changes.items()
        if path.startswith(f"{_SOFT}.")
    }
    if not parts:
        return gallery.soft_delete
    given = {
        field: getattr(plain, field) if value is None else value for field, value in parts.items()
    }
    return replaced(gallery.soft_delete or plain, given)


def _keeps_deleted(gallery: Gallery) -> bool:
    return gallery.soft_delete is not None and gallery.soft_delete.enabled


def _check_one_region(tx: Tx, gallery: Gallery, violations: Violations) -> None:
    """Note what is in another region than the gallery, which soft delete forbids (3.8)."""
    definitions = (one.name for one in tx.definitions.below(gallery.key) if _is_away(one, gallery))
    versions = tx.versions.outside(gallery.key, gallery.location, checks.MOST_CHILDREN)
    for name in [*islice(definitions, checks.MOST_CHILDREN), *versions]:
        violations.precondition(
            reasons.SOFT_DELETE_REGION_MISMATCH,
            name,
            f"with soft delete {name} would have to be in {gallery.location}",
            reason=reasons.SOFT_DELETE_REGION_MISMATCH,
            metadata={"resource": name, "location": gallery.location},
        )


def _is_away(definition: Definition, gallery: Gallery) -> bool:
    return definition.location != gallery.location


def _sharing(gallery: Gallery, changes: Mapping[str, Any], violations: Violations) -> Sharing:
    """Answer the sharing after a change of the mode or of the texts."""
    before = gallery.sharing
    mode = changes.get(f"{_SHARING}.mode", before.mode) or SharingMode.PRIVATE
    parts = {
        path.rpartition(".")[2]: value or ""
        for path, value in changes.items()
        if path.startswith(f"{_TEXTS}.")
    }
    texts = replaced(before.texts, parts)
    if mode is before.mode and texts == before.texts:
        return before
    if mode is not before.mode and (before.mode is not SharingMode.PRIVATE or before.shared):
        violations.precondition(
            reasons.SHARING_MODE_CHANGE_NOT_ALLOWED,
            f"{_SHARING}.mode",
            "the mode changes from PRIVATE alone, and back by RESET",
            reason=reasons.SHARING_MODE_CHANGE_NOT_ALLOWED,
            metadata={"mode": before.mode.value},
        )
        return before
    check_texts(mode, texts if texts != CommunityTexts() else None, violations)
    prefix = texts.public_name_prefix
    if before.mode is SharingMode.COMMUNITY and prefix != before.texts.public_name_prefix:
        # It is part of the public name, which stays until RESET.
        violations.immutable(f"{_TEXTS}.public_name_prefix")
    public_name = before.public_name
    if mode is SharingMode.COMMUNITY and not public_name:
        public_name = new_public_name(texts)
    failure = before.failure if mode is before.mode else ""
    return replace(before, mode=mode, texts=texts, public_name=public_name, failure=failure)
