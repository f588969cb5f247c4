"""Promoting a shallow version: its bytes are copied, and its sources may go afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.catalog.domain import reasons
from services.catalog.domain.desired import WRITE_ACTION
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.usage import UsageLimits
from services.catalog.domain.version import ReplicationMode, Version, WaitMode
from services.catalog.ports.calls import Context, Subscriptions
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.sources import Inspection, Sources
from services.catalog.ports.transaction import Mutation, Transact, Tx
from services.catalog.usecases import checks, next_generation, version_limits
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.next_generation import Planned, Requested
from services.catalog.usecases.source_refusals import refuse
from services.catalog.usecases.updates import admit
from services.catalog.usecases.version_delete import missing
from services.kernel.names import Name
from services.kernel.violations import Violations

Found = Sequence[tuple[SourceDisk, Inspection | None]]


@dataclass(frozen=True, slots=True)
class PromoteVersion:
    """A shallow version that becomes a full one."""

    name: Name
    etag: str
    wait_for: WaitMode
    validate_only: bool


def promote(
    command: PromoteVersion,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    subscriptions: Subscriptions,
    sources: Sources,
    read: Transact,
    limits: UsageLimits,
) -> bytes:
    """Want the bytes of a version in its region; it stays usable at its source meanwhile.

    `read` runs a transaction that only reads.

    Raises:
        InvalidArgument: the request is wrong.
        FailedPrecondition: VERSION_NOT_SHALLOW, SOURCE_CHANGED, SOURCE_TOO_LARGE, no room.
        NotFound: there is no such version, or VERSION_DELETED.
        Aborted: ETAG_MISMATCH, or the version is being deleted.
        ResourceExhausted: QUOTA_EXCEEDED.
        Unavailable: the replication service does not answer.
    """
    violations = context.violations
    demand = Demand(WRITE_ACTION, command.name.text, "name")
    checks.subscription(subscriptions, command.name.text, violations)
    found = _look(command.name, sources, read)
    authority = authority_of(context, WRITE_ACTION, (demand,))

    def work(tx: Tx) -> StartedOperation:
        noted = violations.copy()
        version = tx.versions.get(command.name.key, lock=True)
        if version is None:
            noted.raise_if_any()
            raise missing(command.name.text, tx.versions.deleted(command.name.key))
        checks.not_soft_deleted(version, noted)
        # The sources are needed until the copies are there.
        after = replace(
            version,
            mode=ReplicationMode.FULL,
            promoted=version.generation + 1,
            uncopied=True,
        )
        if version.mode is ReplicationMode.SHALLOW:
            _check_sources(version, found, noted)
            version_limits.check_sizes(after, limits, noted)
            next_generation.weigh(tx, version, after, (), violations=noted)
        else:
            _refuse_full(version, noted)
        admit(tx, version, command.etag, noted)
        requested = Requested("promote", command.wait_for, command.validate_only)
        named = tuple(one.location for one in version.target_regions)
        return next_generation.commit(
            tx, requested, context, version, planned=Planned(after, named), authority=authority
        )

    return mutation.commit(work)


def _look(name: Name, sources: Sources, read: Transact) -> Found:
    """Look at what a shallow version is made of; versions are kept as they are by the catalog."""
    version: Version | None = read(lambda tx: tx.versions.get(name.key))
    if version is None or version.mode is not ReplicationMode.SHALLOW:
        return ()
    return [
        (one, sources.inspect(_unpinned(one.source)))
        for one in version.disks
        if one.source.kind is not SourceKind.IMAGE_VERSION
    ]


def _unpinned(source: ByteSource) -> ByteSource:
    """Answer how a source is asked for, whatever it has become."""
    return replace(source, uid="", etag="")


def _check_sources(version: Version, found: Found, violations: Violations) -> None:
    """Note the sources that are gone, or not what the version was made from."""
    disks = {one.disk: one for one in version.disks}
    for disk, seen in found:
        pinned = disks[disk.disk].source
        if seen is None or (pinned.uid, pinned.etag) != (seen.uid, seen.etag):
            problem = "is not what the version was made from"
            refuse(violations, reasons.SOURCE_CHANGED, disk.named, problem)


def _refuse_full(version: Version, violations: Violations) -> None:
    violations.precondition(
        reasons.VERSION_NOT_SHALLOW,
        version.name,
        f"{version.name} is a full version already",
        reason=reasons.VERSION_NOT_SHALLOW,
        metadata={"resource": version.name},
    )
