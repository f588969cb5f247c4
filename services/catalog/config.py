"""The settings of the catalog service."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.kernel.config import between, setting
from services.policy.config import PolicyConfig

SERVICE: Final = "catalog"
_MOST_DISCLAIMED: Final = 1024


def _short(text: str) -> str | None:
    # It is in every entry of a page.
    return None if len(text) <= _MOST_DISCLAIMED else f"has more than {_MOST_DISCLAIMED} characters"


@dataclass(frozen=True, slots=True)
class Config(PolicyConfig):
    """Every setting; section [catalog] of the file, variables STOA_CATALOG_*."""

    client_listen: str = setting("127.0.0.1:7401", doc="Address of the client listener.")
    internal_listen: str = setting(
        "127.0.0.1:7411", doc="Address of the listener for services, always with mutual TLS."
    )
    token_audience: str = setting(
        "catalog.stoa.dev", doc="The `aud` that a bearer token must have."
    )
    replication_address: str = setting(
        "localhost:7412", doc="Where the replication service listens for services."
    )
    grant_key: Path = setting(
        doc="PEM file with the P-256 key that signs operation grants; replication knows its half."
    )
    subscription_regions: Mapping[str, str] = setting(
        MappingProxyType({}),
        doc="The regions that a subscription may use: their ids, divided by spaces, by the id of "
        "the subscription. One that is not listed may use all.",
    )
    max_galleries: int = setting(
        100,
        doc="The most galleries that a subscription may have in a region.",
        check=between(0, 10**9),
    )
    max_image_definitions: int = setting(
        1_000,
        doc="The most image definitions that a subscription may have in a region.",
        check=between(0, 10**9),
    )
    max_image_versions: int = setting(
        10_000,
        doc="The most image versions that a subscription may have in a region; soft-deleted ones "
        "count until they are purged.",
        check=between(0, 10**9),
    )
    max_replicas_per_version: int = setting(
        100, doc="The most replicas of one version in a region.", check=between(1, 100)
    )
    max_full_disk_gib: int = setting(
        2048, doc="The largest disk of a fully replicated version, in GiB.", check=between(1, 65536)
    )
    max_shallow_disk_gib: int = setting(
        32768, doc="The largest disk of a shallow version, in GiB.", check=between(1, 65536)
    )
    max_versions_per_source: int = setting(
        256,
        doc="The most unfinished versions that are made of one machine, managed image, disk, "
        "snapshot or version; another one is told to come later.",
        check=between(1, 10_000),
    )
    community_disclaimer: str = setting(
        "",
        doc="What the operator says about everything that the community shares, beside each "
        "gallery, definition and version; at most 1,024 characters.",
        check=_short,
    )
    lease_seconds: float = setting(
        10.0,
        doc="How long a duty stays with a workers process that does not answer.",
        check=between(0.5, 3600),
    )
