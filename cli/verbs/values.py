"""Values of options that are neither words nor pairs: times, lengths of time, LUNs, VHDs."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1.vhd_pb2 import Vhd

from cli.errors import UsageProblem
from cli.verbs import names

_V = TypeVar("_V")
# At least one part; a number of hours has few digits, so that none is beyond a Duration.
_SPAN: Final = re.compile(r"(?:pt)?(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


def time(option: str, text: str) -> Timestamp:
    """Read a date or a time of ISO 8601; without a zone it is in UTC.

    Raises:
        UsageProblem: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageProblem(
            f"{text} is no value of {option}.",
            todo=f"Say {option} 2031-12-31 or {option} 2031-12-31T12:00:00Z",
        ) from None
    made = Timestamp()
    made.FromDatetime(found if found.tzinfo else found.replace(tzinfo=UTC))
    return made


def span(option: str, text: str) -> Duration:
    """Read a length of time: `8h`, `1h30m`, `45m`, or as ISO 8601 has it, `PT1H`.

    Raises:
        UsageProblem: it is none.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise UsageProblem(f"{text} is no value of {option}.", todo=f"Say {option} 1h30m")
    hours, minutes, seconds = (int(one or 0) for one in found.groups())
    return Duration(seconds=hours * 3600 + minutes * 60 + seconds)


def by_lun(given: Sequence[str], *, option: str = "--data-blobs") -> dict[int, str]:
    """Read `[LUN=]NAME` texts; without a LUN they are counted from 0.

    Raises:
        UsageProblem: a LUN is no number, or is given twice.
    """
    found: dict[int, str] = {}
    for position, text in enumerate(given):
        number, equals, name = text.partition("=")
        if equals and not number.isdecimal():
            raise UsageProblem(f"{number} is no LUN.", todo=f"Say {option} 0=NAME")
        lun = int(number) if equals else position
        if lun in found:
            raise UsageProblem(f"LUN {lun} is given twice.", todo=f"Say {option} 0=NAME 1=NAME")
        found[lun] = name if equals else text
    return found


def with_luns(given: Sequence[_V], luns: Sequence[int] | None, *, option: str) -> dict[int, _V]:
    """Pair values with the LUNs of an option of their own, or count them from 0.

    Raises:
        UsageProblem: there are more of one than of the other, or a LUN is given twice.
    """
    if luns is None or not luns:
        return dict(enumerate(given))
    if len(luns) != len(given) or len(set(luns)) != len(luns):
        raise UsageProblem(f"{option} takes one LUN for each disk, and each LUN once.")
    return dict(zip(luns, given, strict=True))


def vhd(subscription: str | None, resource_group: str, account: str, path: str) -> Vhd:
    """A VHD by its account and its path there.

    Raises:
        UsageProblem: one of them is missing.
    """
    if not account or not path:
        raise UsageProblem("A VHD has a storage account and a path in it.")
    name = names.in_group(subscription, resource_group, "storageAccounts", account)
    return Vhd(storage_account=name, path=path)
