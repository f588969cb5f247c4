"""What a version is made of: its sources, read and compared with its definition."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from services.catalog.domain import names, reasons, source_match
from services.catalog.domain.audit import TERMS_ACCEPTED, AuditEntry
from services.catalog.domain.definition import Definition
from services.catalog.domain.disk_source import SourceDisk
from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.version import Version, WholeSource, WholeSourceKind
from services.catalog.ports.calls import Context
from services.catalog.ports.sources import Sources
from services.catalog.ports.transaction import Transact, Tx
from services.catalog.ports.views import OpenedVersion, OpenedVersions
from services.catalog.usecases import source_looks
from services.catalog.usecases.source_contents import Contents, SourceReader, in_order
from services.catalog.usecases.source_looks import NO_LOOKS, Looks
from services.catalog.usecases.source_refusals import check_place, refuse
from services.catalog.usecases.version_sources import (
    BLOB,
    VHD,
    DiskSpec,
    SourceRequest,
    action_on,
)
from services.kernel.errors import NotFound
from services.kernel.names import key
from services.kernel.violations import Violations

_VIEWS: Final = frozenset({WholeSourceKind.SHARED_VERSION, WholeSourceKind.COMMUNITY_VERSION})


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of the sources of a request before the transaction."""

    looks: Looks = NO_LOOKS
    opened: OpenedVersion | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """A version with its disks, as far as there are any; `missing` tells of absent sources."""

    version: Version
    missing: NotFound | None


def look(
    request: SourceRequest, *, sources: Sources, opened: OpenedVersions, read: Transact
) -> Seen:
    """Look at what other services and other people's galleries have of the sources.

    Raises:
        Unavailable: the replication service does not answer.
    """
    whole = request.whole
    if whole is not None and whole.kind in _VIEWS:
        return Seen(opened=opened.find(whole))
    image = whole.name if whole and whole.kind is WholeSourceKind.MANAGED_IMAGE else ""
    return Seen(
        source_looks.look(
            sources,
            read,
            blobs=[one.name for one in request.disks if one.kind == BLOB],
            vhds=[(one.name, one.file) for one in request.disks if one.kind == VHD],
            image=image,
        )
    )


def fill(
    tx: Tx,
    draft: Version,
    request: SourceRequest,
    seen: Seen,
    *,
    definition: Definition,
    violations: Violations,
) -> Filled:
    """Answer a version with its disks, noting everything that does not fit its definition."""
    reader = SourceReader(tx, draft.location, seen.looks, violations)
    making = _Making(tx, draft, reader, definition, violations)
    if request.whole is not None:
        made = making.from_whole(request.whole, request, seen.opened)
    else:
        made = making.from_disks(request.disks)
    return Filled(made, reader.missing())


def acceptance(version: Version, seen: Seen, context: Context) -> AuditEntry | None:
    """Answer what the audit log is told of the terms that were accepted for a version."""
    opened, whole = seen.opened, version.source
    if opened is None or whole is None or whole.kind is not WholeSourceKind.COMMUNITY_VERSION:
        return None
    return AuditEntry(
        request_id=str(uuid.uuid4()),
        event_time=context.clock.now(),
        caller=opened.asked_by,
        method=TERMS_ACCEPTED,
        action=action_on(whole.kind),
        resource=opened.name,
        revision=context.access.revision,
        details={
            "community_gallery": opened.view.gallery.sharing.public_name,
            "location": opened.view.location,
            "version_uid": opened.view.version.uid,
            "image_version": version.name,
        },
    )


@dataclass(frozen=True, slots=True)
class _Making:
    """A version in the making."""

    tx: Tx
    draft: Version
    reader: SourceReader
    definition: Definition
    violations: Violations

    def from_whole(
        self, whole: WholeSource, request: SourceRequest, opened: OpenedVersion | None
    ) -> Version:
        """Answer the version with the disks of one source, cached as the request says."""
        found = self._whole(whole, opened, accept_terms=request.accept_terms)
        if found is None:
            return self.draft
        self._compare(found)
        private = found.used_key if whole.kind in _VIEWS else ""
        return replace(
            self.draft,
            source=WholeSource(whole.kind, found.name, found.uid, private),
            disks=self._cached(found, request.disks),
            carries_vm_guest_state=_guest_state(found),
        )

    def from_disks(self, specs: Sequence[DiskSpec]) -> Version:
        """Answer the version with disks that have a source each."""
        disks: list[SourceDisk] = []
        guest_state = False
        for one in specs:
            found = self._disk(one)
            if found is None:
                continue
            if one.disk == names.OS_DISK:
                self._compare(found)
                guest_state = _guest_state(found)
            else:
                self._check_keys(found)
            if one.kind == VHD and self.draft.encrypted:
                refuse(
                    self.violations,
                    reasons.SOURCE_KIND_NOT_ENCRYPTABLE,
                    found.name,
                    "is a VHD, of which no encrypted version can be made",
                )
            caching = one.host_caching or HostCaching.NONE
            disks += [replace(disk, disk=one.disk, host_caching=caching) for disk in found.disks]
        return replace(
            self.draft, source=None, disks=in_order(disks), carries_vm_guest_state=guest_state
        )

    def _disk(self, spec: DiskSpec) -> Contents | None:
        match spec.kind:
            case "disk":
                return self.reader.disk(spec.name)
            case "snapshot":
                return self.reader.snapshot(spec.name)
            case "blob":
                return self.reader.blob(spec.name)
            case "vhd":
                return self.reader.vhd(spec.name, spec.file)
            case _:
                # The request is wrong, and told so.
                return None

    def _whole(
        self, whole: WholeSource, opened: OpenedVersion | None, *, accept_terms: bool
    ) -> Contents | None:
        match whole.kind:
            case WholeSourceKind.VIRTUAL_MACHINE:
                return self.reader.machine(whole.name)
            case WholeSourceKind.MANAGED_IMAGE:
                return self.reader.image(whole.name)
            case WholeSourceKind.IMAGE_VERSION:
                return self._version(whole.name)
            case WholeSourceKind.SHARED_VERSION:
                return self._opened(whole, opened, names.SHARED_VERSION_TYPE)
            case WholeSourceKind.COMMUNITY_VERSION:
                if not accept_terms:
                    refuse(
                        self.violations,
                        reasons.TERMS_NOT_ACCEPTED,
                        whole.name,
                        "can be copied only by those who accept the terms of its publisher",
                    )
                return self._opened(whole, opened, names.COMMUNITY_VERSION_TYPE)
            case _:
                assert_never(whole.kind)

    def _version(self, name: str) -> Contents | None:
        found = self.tx.versions.get(key(name), share=True)
        definition = self.tx.definitions.get(_definition_key(name))
        if found is None or definition is None:
            return self.reader.absent(names.VERSION_TYPE, name)
        return self.reader.version(found, definition, found.name)

    def _opened(
        self, whole: WholeSource, opened: OpenedVersion | None, resource_type: str
    ) -> Contents | None:
        """Read a version that a publisher has opened to the caller, and lets be copied."""
        if opened is None:
            return self.reader.absent(resource_type, whole.name)
        gallery = self.tx.galleries.get(opened.view.gallery.key, share=True)
        definition = self.tx.definitions.get(opened.view.definition.key)
        found = self.tx.versions.get(opened.view.version.key, share=True)
        if (
            gallery is None
            or definition is None
            or found is None
            or found.uid != opened.view.version.uid
        ):
            return self.reader.absent(resource_type, whole.name)
        if not gallery.allow_copy:
            refuse(
                self.violations,
                reasons.SOURCE_COPY_NOT_ALLOWED,
                opened.name,
                "may not be copied: its publisher does not allow it",
            )
        check_place(opened.name, opened.view.location, self.draft.location, self.violations)
        return self.reader.version(found, definition, opened.name)

    def _compare(self, found: Contents) -> None:
        """Note everything in which a source with an operating system does not fit."""
        if found.system is not None:
            source_match.check(
                found.system,
                self.definition,
                self.draft.number,
                self.violations,
                resource=found.name,
            )
        self._check_keys(found)

    def _check_keys(self, found: Contents) -> None:
        own = key(names.subscription_of(self.draft.name))
        if any(key(names.subscription_of(one)) != own for one in found.encryption_sets):
            refuse(
                self.violations,
                reasons.SOURCE_ENCRYPTED_IN_OTHER_SUBSCRIPTION,
                found.name,
                "is encrypted with a key of another subscription",
            )

    def _cached(self, found: Contents, specs: Sequence[DiskSpec]) -> tuple[SourceDisk, ...]:
        """Answer disks cached as the request says beside a source for all of them."""
        by_disk = {one.disk: one for one in found.disks}
        for spec in specs:
            if spec.disk not in by_disk:
                self.violations.precondition(
                    reasons.SOURCE_KIND_INVALID,
                    spec.path,
                    f"{found.name} has no disk {spec.disk}",
                    reason=reasons.SOURCE_KIND_INVALID,
                )
            elif spec.host_caching is not None:
                disk = by_disk[spec.disk]
                by_disk[spec.disk] = replace(disk, host_caching=spec.host_caching)
        return in_order(list(by_disk.values()))


def _guest_state(found: Contents) -> bool:
    return found.system is not None and found.system.carries_vm_guest_state


def _definition_key(version: str) -> str:
    return key(version.rpartition("/versions/")[0])
