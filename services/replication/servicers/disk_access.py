"""Who may read which disk: private names, and views of what others have shared."""

from dataclasses import dataclass
from typing import Any, Final

from stoa.replication.v1 import image_disk_service_pb2 as pb

from services.kernel.errors import FailedPrecondition, NotFound, PreconditionViolation, StoaError
from services.kernel.names import Name, key, parse_version
from services.kernel.rpc.call import Call
from services.policy.access_control import PolicyAccessControl
from services.replication.convert.common import disk_key
from services.replication.domain.names import VERSION_TYPE, location_key
from services.replication.ports.audit import AuditTrail, TermsAccepted
from services.replication.usecases.disk_finding import DiskFinding, FoundDisk, Wanted

_PRIVATE: Final = "Microsoft.Compute/galleries/images/versions/read"


@dataclass(frozen=True, slots=True)
class _Door:
    """A way to a version: the action it takes, the type it is told to be, what its terms are."""

    action: str
    type: str
    is_view: bool = True
    has_terms: bool = False


_DOORS: Final = {
    "gallery": _Door(_PRIVATE, VERSION_TYPE, is_view=False),
    "shared_gallery": _Door(
        "Microsoft.Compute/locations/sharedGalleries/images/versions/read",
        "stoa.dev/SharedGalleryImageVersion",
    ),
    "community_gallery": _Door(
        "Microsoft.Compute/locations/communityGalleries/images/versions/read",
        "stoa.dev/CommunityGalleryImageVersion",
        has_terms=True,
    ),
}


class DiskAccess:
    """Finds the disk that a request names, if its caller may read it."""

    def __init__(
        self, finding: DiskFinding, control: PolicyAccessControl, audit: AuditTrail
    ) -> None:
        self._finding: Final = finding
        self._control: Final = control
        self._audit: Final = audit

    def find(self, request: pb.ReadDiskRequest | pb.OpenDiskRequest, call: Call) -> FoundDisk:
        """Answer the disk; blocks.

        What is not shared with the caller's subscription, or not enabled, or never existed, is
        answered by one and the same NOT_FOUND. The acceptance of terms is recorded before
        this returns.

        Raises:
            PermissionDenied: the action is not held.
            NotFound: see above; NOT_IN_REGION, DISK_NOT_FOUND.
            InvalidArgument: everything that is wrong with the request; REGION_UNKNOWN.
            FailedPrecondition: TERMS_NOT_ACCEPTED, DISK_REPLACED.
            Unavailable: NO_GOOD_REPLICA, or what the decision needs does not answer.
        """
        name = call.scope
        if name is None:
            raise RuntimeError("the method has a scope")
        door = next(door for variable, door in _DOORS.items() if variable in name.ids)
        call.access.require(door.action, name.text)
        with call.violations.collect():
            parse_version(name.ids["version"])
        location = request.location or name.ids.get("location", "")
        if door.is_view and location_key(location) != location_key(name.ids["location"]):
            call.violations.add("location", "is another region than the one in the name")
        call.violations.raise_if_any()
        if door.has_terms and not request.accept_terms:
            raise _terms(name)

        def missing() -> StoaError:
            return NotFound.of(door.type, name.text)

        found = self._finding.find(
            Wanted(
                name_key=self._private_key(name, missing) if door.is_view else name.key,
                location=location,
                disk=disk_key(request.disk),
                missing=missing,
                field="name" if door.is_view else "location",
                tells_regions=not door.is_view,
                expected_root=request.expected_root_digest,
            )
        )
        if door.has_terms:
            self._record(name, found, door, call)
        return found

    def _private_key(self, name: Name, missing: Any) -> str:
        grant = self._control.index.view_grant(name.text)
        if grant is None:
            # It was just allowed by a newer policy than the one that this process holds.
            raise missing()
        ids = name.ids
        return key(f"{grant.gallery}/images/{ids['image']}/versions/{ids['version']}")

    def _record(self, name: Name, found: FoundDisk, door: _Door, call: Call) -> None:
        self._audit.terms_accepted(
            TermsAccepted(
                caller=next(iter(call.access.principals), ""),
                view=name.text,
                method=call.policy.path[1:],
                action=door.action,
                revision=call.access.revision,
                trace_parent=call.trace.context.header(),
                details={
                    "community_gallery": name.ids["community_gallery"],
                    "location": found.location,
                    "disk": found.content.disk,
                    "version_uid": found.version.uid,
                },
            )
        )


def _terms(name: Name) -> FailedPrecondition:
    message = "a community version is read only by those who accept the terms of its publisher"
    return FailedPrecondition(
        message,
        reason="TERMS_NOT_ACCEPTED",
        metadata={"community_gallery": name.ids["community_gallery"]},
        precondition=(PreconditionViolation("TERMS_NOT_ACCEPTED", name.text, message),),
    )
