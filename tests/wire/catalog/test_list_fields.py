"""Every list takes the fields that its contract names, and no others; what it answers fits them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from cli.installation.identity import make_token
from services.catalog.servicers.registry import FACTORIES
from tests.wire.catalog.installation import SUBSCRIPTION, World, _Bearer, refused

Code = grpc.StatusCode
PROTOS = Path(__file__).resolve().parents[3] / "protos"
NAME = re.compile(r"[a-z][a-z_]*(?:\.[a-z_]+|\.KEY)*")
# In the words of each resource, what its lists are listed below.
PARENTS = {"SharedGallery": "locations/eastus", "CommunityGallery": "locations/eastus"}


@dataclass(frozen=True)
class List:
    """One list of the contract, with the fields that its comments name."""

    method: MethodDescriptor
    fields: tuple[str, ...]
    orders: tuple[str, ...]

    @property
    def resource(self) -> Any:
        """The type of what is listed."""
        entries = self.method.output_type.fields[0]
        return entries.message_type

    def __str__(self) -> str:
        return str(self.method.name)


def _comment(method: MethodDescriptor, field: str) -> str:
    """The comment above a field of the request."""
    text = (PROTOS / method.input_type.file.name).read_text()
    message = text.partition(f"message {method.input_type.name} {{")[2]
    above = message.partition(f" string {field} = ")[0].rstrip().splitlines()
    lines: list[str] = []
    while above and above[-1].strip().startswith("//"):
        lines.insert(0, above.pop().strip(" /"))
    return " ".join(lines)


def _named(comment: str) -> tuple[str, ...]:
    quoted = re.findall(r"`([^`]+)`", comment)
    return tuple(dict.fromkeys(one for one in quoted if NAME.fullmatch(one)))


def _lists() -> Iterator[List]:
    pool = descriptor_pool.Default()
    for service in FACTORIES:
        if not service.startswith("stoa."):
            continue
        for method in pool.FindServiceByName(service).methods:
            if "filter" in method.input_type.fields_by_name:
                yield List(
                    method,
                    _named(_comment(method, "filter")),
                    _named(_comment(method, "order_by")),
                )


LISTS = list(_lists())
FIELDS = [(one, field) for one in LISTS for field in one.fields]
ORDERS = [(one, field) for one in LISTS for field in one.orders]


def _called(pair: tuple[List, str]) -> str:
    return f"{pair[0]} {pair[1]}"


class Caller:
    """Calls lists by their descriptors, as the owner."""

    def __init__(self, world: World) -> None:
        token = make_token(world.catalog.authz.layout, subject="owner", tenant="default")
        self._channel = grpc.intercept_channel(world.catalog._plain, _Bearer(token))

    def __call__(self, one: List, **more: Any) -> Sequence[Any]:
        method = one.method
        request = GetMessageClass(method.input_type)(**({"parent": self.everywhere(one)} | more))
        call = self._channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer: Any = call(request)
        return list(getattr(answer, method.output_type.fields[0].name))

    @staticmethod
    def everywhere(one: List) -> str:
        """The parent that means all of a kind, below the one subscription."""
        name = str(one.method.name)
        if "SharedGaller" in name or "CommunityGaller" in name:
            collection = "sharedGalleries" if "Shared" in name else "communityGalleries"
            parent = f"{SUBSCRIPTION}/locations/-"
            if "Image" in name:
                parent += f"/{collection}/-"
            return f"{parent}/images/-" if "Version" in name else parent
        if name == "ListUsages":
            return f"{SUBSCRIPTION}/locations/eastus"
        depth = {"ListImageDefinitions": 3, "ListImageVersions": 4, "ListResourceGroups": 1}
        segments = (SUBSCRIPTION, "resourceGroups/-", "galleries/-", "images/-")
        return "/".join(segments[: depth.get(name, 2)])


@pytest.fixture
def listed(world: World) -> Caller:
    return Caller(world)


def _field(message: Any, path: str) -> FieldDescriptor:
    *above, last = path.split(".")
    for segment in above:
        message = message.fields_by_name[segment].message_type
    found: FieldDescriptor = message.fields_by_name[last]
    return found


def _literal(one: List, path: str) -> str:
    """A value that a field may be compared with."""
    if path == "tags.KEY":
        return '"x"'
    field = _field(one.resource, path)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true"
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return '"2026-01-01T00:00:00Z"'
    if field.enum_type is not None:
        prefix = str(field.enum_type.values[0].name).removesuffix("UNSPECIFIED")
        return str(field.enum_type.values[1].name).removeprefix(prefix)
    return "1" if field.type == FieldDescriptor.TYPE_INT64 else '"x"'


def test_there_are_lists_to_look_at() -> None:
    assert len(LISTS) >= 16
    assert all(one.fields and one.orders for one in LISTS)
    versions = next(one for one in LISTS if str(one) == "ListImageVersions")
    assert "target_regions.location" in versions.fields
    assert "publish_time" in versions.orders


@pytest.mark.parametrize("pair", FIELDS, ids=_called)
def test_a_list_is_filtered_by_every_field_that_it_names(
    listed: Caller, pair: tuple[List, str]
) -> None:
    one, field = pair
    value = _literal(one, field)
    listed(one, filter=f"{field} = {value}")
    listed(one, filter=f"{field} != {value} AND {field} = {value}")


@pytest.mark.parametrize("pair", ORDERS, ids=_called)
def test_a_list_is_ordered_by_every_field_that_it_names(
    listed: Caller, pair: tuple[List, str]
) -> None:
    one, field = pair
    listed(one, order_by=field)
    listed(one, order_by=f"{field} desc")


@pytest.mark.parametrize("one", LISTS, ids=str)
def test_a_list_names_a_field_that_it_does_not_take(listed: Caller, one: List) -> None:
    with refused(Code.INVALID_ARGUMENT) as found:
        listed(one, filter="no_such_field = 1", order_by="uid")
    assert set(found.fields) == {"filter", "order_by"}
    assert "no_such_field" in found.descriptions["filter"]
    assert "uid" in found.descriptions["order_by"]


def _values(message: Any, path: str) -> list[Any]:
    """What a resource has in a field, as it is compared."""
    head, _, rest = path.partition(".")
    if head == "tags":
        return [message.tags.get(rest)]
    field = message.DESCRIPTOR.fields_by_name[head]
    value = getattr(message, head)
    if rest:
        inner = list(value) if field.is_repeated else [value]
        return [found for one in inner for found in _values(one, rest)]
    if field.message_type is not None:
        return [value.ToDatetime(UTC) if message.HasField(head) else None]
    if field.enum_type is not None:
        prefix = str(field.enum_type.values_by_number[0].name).removesuffix("UNSPECIFIED")
        return [str(field.enum_type.values_by_number[value].name).removeprefix(prefix)]
    return [value]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return str(value) if isinstance(value, int) else f'"{value}"'


END = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
Maker = Callable[[World], list[str]]


def _groups(world: World) -> list[str]:
    return [world.group(tags={"set": "a"}), world.group("westus", tags={"set": "b"})]


def _galleries(world: World) -> list[str]:
    return [
        world.gallery(
            description="first",
            tags={"set": "a"},
            soft_delete_policy={"enabled": True},
        ),
        world.gallery(description="second", location="westus", tags={"set": "b"}),
    ]


def _definitions(world: World) -> list[str]:
    return [
        world.definition(description="First one", end_of_life_time=END, tags={"set": "a"}),
        world.definition(architecture=2, hyper_v_generation=2, tags={"set": "b"}),
    ]


def _versions(world: World) -> list[str]:
    definition = world.definition()
    world.version(definition, "1.0.9", end_of_life_time=END, tags={"set": "a"})
    world.version(
        definition,
        "1.0.10",
        tags={"set": "b"},
        exclude_from_latest=True,
        regions=("eastus", "westus"),
    )
    return [f"{definition}/versions/{number}" for number in ("1.0.9", "1.0.10")]


MAKERS: dict[str, Maker] = {
    "ListResourceGroups": _groups,
    "ListGalleries": _galleries,
    "ListImageDefinitions": _definitions,
    "ListImageVersions": _versions,
}
MADE = [one for one in LISTS if str(one) in MAKERS]


@pytest.mark.parametrize("one", MADE, ids=str)
def test_a_filter_finds_what_has_the_value_and_nothing_else(
    world: World, listed: Caller, one: List
) -> None:
    names = MAKERS[str(one)](world)
    view = {"view": 2} if "view" in one.method.input_type.fields_by_name else {}
    more: dict[str, Any] = {"page_size": 1000, **view}
    everything = listed(one, **more)
    made = [message for message in everything if message.name in names]
    assert len(made) == len(names) == 2
    compared = set()
    for field in one.fields:
        path = field.replace("KEY", "set")
        for message in made:
            (value, *_) = [*_values(message, path), None]
            if value is None:
                continue
            compared.add(field)
            if isinstance(value, datetime):
                _compared_in_time(listed, one, everything, (path, value), more)
            found = {got.name for got in listed(one, filter=f"{path} = {_written(value)}", **more)}
            others = {
                got.name for got in listed(one, filter=f"{path} != {_written(value)}", **more)
            }
            for two in everything:
                has = value in _values(two, path)
                assert (two.name in found) is has, (field, value, two)
                assert (two.name in others) is not has, (field, value, two)
    # The times of what has not happened yet.
    assert set(one.fields) - compared <= {
        "delete_time",
        "purge_time",
    }


def _compared_in_time(
    listed: Caller, one: List, rows: Sequence[Any], compared: tuple[str, datetime], more: Any
) -> None:
    path, wanted = compared
    for symbol, holds in (("<", lt), ("<=", le), (">", gt), (">=", ge)):
        found = {
            got.name for got in listed(one, filter=f"{path} {symbol} {_written(wanted)}", **more)
        }
        for row in rows:
            (value,) = _values(row, path)
            assert (row.name in found) is (value is not None and holds(value, wanted)), path


@pytest.mark.parametrize("part", ["publisher", "offer", "sku"])
def test_publisher_offer_and_sku_are_found_in_any_case(
    world: World, listed: Caller, part: str
) -> None:
    definitions = next(one for one in LISTS if str(one) == "ListImageDefinitions")
    name = world.definition()
    (made,) = (one for one in listed(definitions, page_size=1000) if one.name == name)
    value = getattr(made.identifier, part)
    for written in (value.upper(), value.lower()):
        for symbol in ("=", ":"):
            rows = listed(
                definitions, filter=f'identifier.{part} {symbol} "{written}"', page_size=1000
            )
            assert name in {row.name for row in rows}
    rows = listed(definitions, filter=f'identifier.{part} != "{value.upper()}"', page_size=1000)
    assert name not in {row.name for row in rows}


@pytest.mark.parametrize("one", MADE, ids=str)
def test_an_order_is_that_of_the_values(world: World, listed: Caller, one: List) -> None:
    MAKERS[str(one)](world)
    for field in one.orders:
        if field == "name":
            continue
        rows = listed(one, order_by=field, page_size=1000)
        values = [(_values(row, field)[0] or None) for row in rows]
        known = [value for value in values if value is not None]
        # What has no value comes last.
        assert values[: len(known)] == known, field
        fold: Callable[[Any], Any] = str.lower if known and isinstance(known[0], str) else _same
        assert [fold(value) for value in known] == sorted(map(fold, known)), field
        back = listed(one, order_by=f"{field} desc, name desc", page_size=1000)
        forth = listed(one, order_by=f"{field}, name", page_size=1000)
        assert [row.name for row in back] == [row.name for row in forth][::-1], field


def _same(value: Any) -> Any:
    return value
