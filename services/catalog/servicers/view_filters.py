"""Filters of views, applied to what is told: so that no private value can be asked about."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC
from typing import Any, Final, assert_never

from google.protobuf.message import Message

from services.catalog.convert.hardware import ARCHITECTURES, OS_TYPES
from services.catalog.domain.hardware import Architecture, HyperVGeneration, OsState, OsType
from services.catalog.domain.region import location_key
from services.catalog.ports.views import STATED, Sought
from services.kernel.filter import Comparison, Kind, Op
from services.kernel.names import fold, key

Fields = Mapping[str, Kind | Collection[str]]

GALLERY_FIELDS: Final[Fields] = {
    "name": Kind.STRING,
    "location": Kind.STRING,
    "unique_name": Kind.STRING,
}
COMMUNITY_FIELDS: Final[Fields] = {
    "name": Kind.STRING,
    "location": Kind.STRING,
    "public_name": Kind.STRING,
    "community_metadata.publisher_uri": Kind.STRING,
    "community_metadata.publisher_contact": Kind.STRING,
}
IMAGE_FIELDS: Final[Fields] = {
    "name": Kind.STRING,
    "location": Kind.STRING,
    "identifier.publisher": Kind.STRING,
    "identifier.offer": Kind.STRING,
    "identifier.sku": Kind.STRING,
    "os_type": frozenset(one.name for one in OsType),
    "os_state": frozenset(one.name for one in OsState),
    "hyper_v_generation": frozenset(one.name for one in HyperVGeneration),
    "architecture": frozenset(one.name for one in Architecture),
    "end_of_life_time": Kind.TIME,
}
VERSION_FIELDS: Final[Fields] = {
    "name": Kind.STRING,
    "location": Kind.STRING,
    "publish_time": Kind.TIME,
    "end_of_life_time": Kind.TIME,
    "exclude_from_latest": Kind.BOOLEAN,
}
_COMPARED_BY: Final[Mapping[str, Callable[[str], str]]] = {
    "name": key,
    "location": location_key,
    "unique_name": fold,
    "public_name": fold,
    "identifier.publisher": fold,
    "identifier.offer": fold,
    "identifier.sku": fold,
}


def fits(message: Message, comparisons: Sequence[Comparison]) -> bool:
    """Whether all comparisons hold for a message."""
    return all(_holds(_value(message, one.field), one) for one in comparisons)


def is_stated(one: Comparison) -> bool:
    """Whether a comparison is left to the database, which holds what the view shows."""
    return one.field in STATED and one.op in {Op.EQ, Op.NE}


def sought(wanted: Any) -> Sought:
    """Answer what a search asks for, as far as a database can tell: `matches` decides."""
    comparisons = []
    if wanted.publisher:
        comparisons.append(Comparison("identifier.publisher", Op.EQ, wanted.publisher))
    for field, known in (("os_type", OS_TYPES), ("architecture", ARCHITECTURES)):
        member = known.member(getattr(wanted, field))
        if member is not None:
            comparisons.append(Comparison(field, Op.EQ, member.value))
    # Databases do not agree about the case of other letters.
    words = [word for word in wanted.query.split() if word.isascii()]
    return Sought(words, comparisons)


def matches(match: Any, wanted: Any) -> bool:
    """Whether a match of a search has everything that `SearchCommunityGalleries` asks for."""
    gallery, image = match.gallery, match.image
    if wanted.publisher and fold(image.identifier.publisher) != fold(wanted.publisher):
        return False
    if wanted.os_type and image.os_type != wanted.os_type:
        return False
    if wanted.architecture and image.architecture != wanted.architecture:
        return False
    texts = (
        gallery.public_name,
        gallery.community_metadata.publisher_uri,
        gallery.community_metadata.publisher_contact,
        image.name.rpartition("/")[2],
        image.identifier.publisher,
        image.identifier.offer,
        image.identifier.sku,
    )
    searched = "\n".join(texts).lower()
    return all(word in searched for word in wanted.query.lower().split())


def _holds(found: Any, one: Comparison) -> bool:
    wanted: Any = one.value
    if isinstance(wanted, str) and one.op is not Op.HAS and one.field in _COMPARED_BY:
        compared_by = _COMPARED_BY[one.field]
        found, wanted = compared_by(found), compared_by(wanted)
    match one.op:
        case Op.EQ:
            return bool(found == wanted)
        case Op.NE:
            return bool(found != wanted)
        case Op.LT:
            return found is not None and bool(found < wanted)
        case Op.LE:
            return found is not None and bool(found <= wanted)
        case Op.GT:
            return found is not None and bool(found > wanted)
        case Op.GE:
            return found is not None and bool(found >= wanted)
        case Op.HAS:
            return str(wanted).lower() in str(found).lower()
        case _:
            assert_never(one.op)


def _value(message: Message, path: str) -> Any:
    *above, last = path.split(".")
    found: Any = message
    for segment in above:
        found = getattr(found, segment)
    field = found.DESCRIPTOR.fields_by_name[last]
    if field.message_type is not None:
        time = getattr(found, last)
        return time.ToDatetime(UTC) if found.HasField(last) else None
    if field.enum_type is not None:
        prefix = _prefix(field.enum_type)
        name: str = field.enum_type.values_by_number[getattr(found, last)].name
        return name.removeprefix(prefix)
    if field.has_presence and not found.HasField(last):
        return None
    return getattr(found, last)


def _prefix(enum_type: Any) -> str:
    zero: str = enum_type.values_by_number[0].name
    return zero.removesuffix("UNSPECIFIED")
