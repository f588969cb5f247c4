"""What a version needs to live on: it may not be deleted meanwhile."""

from services.catalog.domain.version import ReplicationMode, Version
from services.kernel.names import key


def needed_by(version: Version) -> tuple[str, ...]:
    """Answer the keys of what a version needs, each once.

    Its encryption sets always; its sources until every region was done once and one of them
    COMPLETED, for then the bytes are copied from there, and as long as it is shallow.
    """
    names = list(version.encryption_sets)
    if needs_sources(version):
        source = version.source
        if source is not None:
            names.append(source.private or source.name)
        else:
            names += [one.origin for one in version.disks if one.origin]
    return tuple(dict.fromkeys(map(key, names)))


def needs_sources(version: Version) -> bool:
    """Whether a version may have to be copied from its sources yet, or always reads from them."""
    return version.mode is ReplicationMode.SHALLOW or not version.settled or version.uncopied
