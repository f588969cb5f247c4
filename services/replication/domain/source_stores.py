"""The stores whose files may be sources, as the operator's configuration names them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.replication.domain.region import StoreAddress
from services.replication.domain.store_urls import parse_store_url

# Entries and regions as the contract has them (StoreFileSource.store, CreateRegionRequest).
_ENTRY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REGION: Final = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class SourceStore:
    """An allowed store: the region that its files are in, and where it lies."""

    location: str
    address: StoreAddress


def parse_source_store(entry: str, text: str) -> SourceStore:
    """Read an entry `NAME = "REGION URL"`.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not _ENTRY.fullmatch(entry):
        raise ValueError("a name has 1 to 64 letters, digits, dots, underscores or dashes")
    location, _, url = text.strip().partition(" ")
    if not _REGION.fullmatch(location) or not url.strip():
        raise ValueError("the id of a region, a space and a URL are expected")
    return SourceStore(location, parse_store_url(url.strip()))


def parse_source_stores(entries: Mapping[str, str]) -> Mapping[str, SourceStore]:
    """Read all entries; ValueError as `parse_source_store`."""
    return {entry: parse_source_store(entry, text) for entry, text in entries.items()}


def source_stores_problem(entries: Mapping[str, str]) -> str | None:
    """Answer what is wrong with the entries, None where nothing is."""
    problems: list[str] = []
    for entry, text in entries.items():
        try:
            parse_source_store(entry, text)
        except ValueError as error:
            problems.append(f"{entry}: {error}")
    return "; ".join(problems) or None
