"""How many statements of SQL each read is: what it costs must not grow with what it answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from stoa.catalog.v1 import managed_image_pb2, managed_image_service_pb2
from stoa.type.v1 import method_policy_pb2, os_type_pb2

import services.catalog.store
from cli.installation.identity import make_token
from services.catalog.servicers.registry import FACTORIES
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ADD, ENABLE, community, direct, get, share
from tests.wire.catalog.installation import SUBSCRIPTION, World, _Bearer
from tests.wire.catalog.sources import ALL as SOURCES

EVERYWHERE = "subscriptions/-/resourceGroups/-/galleries/-/images/-"
# The deepest kind of resource is published, viewed and read; the rest is what it lies in.
Fields = Callable[["Published"], dict[str, Any]]


class Published:
    """One version, seen by its owner and, in the subscription of the owner too, as a view."""

    def __init__(self, world: World, policy: Policy) -> None:
        self.consumer = policy.subscription()
        self.shared_gallery = direct(world)
        self.community_gallery = community(world)
        self.definition = world.definition(self.shared_gallery)
        self.version = world.finished(self.definition).name
        self.public_definition = world.definition(self.community_gallery)
        world.finished(self.public_definition)
        share(world, self.shared_gallery, ADD, self.consumer)
        share(world, self.community_gallery, ENABLE)
        self.group = "/".join(self.version.split("/")[:4])
        self.location = f"{self.consumer}/locations/eastus"
        gallery = get(world, self.shared_gallery)
        self.shared = f"{self.location}/sharedGalleries/{gallery.unique_name}"
        info = get(world, self.community_gallery).sharing_profile.community_gallery_info
        self.community = f"{self.location}/communityGalleries/{info.public_names[0]}"
        self.image = self.definition.rpartition("/")[2]
        self.public_image = self.public_definition.rpartition("/")[2]
        self.sources = {
            source.method: source.create(world, source.request(world, self.group)).name
            for source in SOURCES
        }
        self.sources["ManagedImage"] = _managed_image(world, self.group)
        operation = world.version(self.definition, "2.0.0")[1]
        self.operation = operation.name


def _managed_image(world: World, group: str) -> str:
    image = managed_image_pb2.ManagedImage(
        location="eastus",
        os_type=os_type_pb2.OS_TYPE_LINUX,
        os_state=os_type_pb2.OS_STATE_GENERALIZED,
    )
    image.blobs.os_blob = world.blob(group)
    request = managed_image_service_pb2.CreateManagedImageRequest(
        parent=group, managed_image_id=world.id("managed"), managed_image=image
    )
    return str(world.owner.images.CreateManagedImage(request).name)


def _below(attribute: str, *further: str) -> Fields:
    return lambda made: {"parent": "/".join([getattr(made, attribute), *further])}


def _of(attribute: str, *further: str) -> Fields:
    return lambda made: {"name": "/".join([getattr(made, attribute), *further])}


def _view(collection: str, image: str) -> dict[str, tuple[Fields, int]]:
    """The reads of one kind of view: one for the region, one for what is seen there."""
    kind = "Shared" if collection == "shared" else "Community"

    def version(made: Published) -> dict[str, Any]:
        return {"name": f"{getattr(made, collection)}/images/{getattr(made, image)}/versions/1.0.0"}

    def definition(field: str) -> Fields:
        return lambda made: {field: f"{getattr(made, collection)}/images/{getattr(made, image)}"}

    galleries = f"List{kind}Galleries"
    return {
        f"Get{kind}Gallery": (_of(collection), 2),
        galleries: (_below("location"), 2),
        f"Get{kind}GalleryImage": (definition("name"), 2),
        f"List{kind}GalleryImages": (_below(collection), 2),
        f"Get{kind}GalleryImageVersion": (version, 2),
        f"List{kind}GalleryImageVersions": (definition("parent"), 2),
    }


def _source(method: str, plural: str) -> dict[str, tuple[Fields, int]]:
    return {
        f"Get{method}": (lambda made: {"name": made.sources[method]}, 1),
        f"List{plural}": (_below("group"), 1),
    }


READS: dict[str, tuple[Fields, int]] = {
    "GetResourceGroup": (_of("group"), 1),
    "ListResourceGroups": (lambda made: {"parent": SUBSCRIPTION}, 1),
    "GetGallery": (_of("shared_gallery"), 1),
    "ListGalleries": (_below("group"), 1),
    "GetImageDefinition": (_of("definition"), 1),
    "ListImageDefinitions": (_below("shared_gallery"), 1),
    "GetImageVersion": (_of("version"), 1),
    "ListImageVersions": (_below("definition"), 1),
    "ResolveImageVersion": (lambda made: {"image": made.definition, "location": "eastus"}, 2),
    "CheckDeployment": (lambda made: {"image": made.version, "location": "eastus"}, 2),
    **_view("shared", "image"),
    **_view("community", "public_image"),
    "SearchCommunityGalleries": (
        lambda made: {"parent": made.location, "query": "publisher offer"},
        2,
    ),
    "ListUsages": (lambda made: {"parent": f"{SUBSCRIPTION}/locations/eastus"}, 2),
    "GetUsage": (
        lambda made: {"name": f"{SUBSCRIPTION}/locations/eastus/usages/galleries"},
        2,
    ),
    "GetOperation": (_of("operation"), 1),
    "ListOperations": (lambda made: {"name": SUBSCRIPTION}, 1),
}
for one in SOURCES:
    READS |= _source(one.method, f"{one.method}s")
READS |= _source("ManagedImage", "ManagedImages")


def _reads() -> Iterator[MethodDescriptor]:
    pool = descriptor_pool.Default()
    for service in FACTORIES:
        for method in pool.FindServiceByName(service).methods:
            policy = method.GetOptions().Extensions[method_policy_pb2.policy]
            is_own = service.startswith("stoa.")
            if policy.kind == method_policy_pb2.METHOD_KIND_READ or (
                not is_own and method.name in {"GetOperation", "ListOperations"}
            ):
                yield method


METHODS = {str(method.name): method for method in _reads()}


@pytest.fixture(scope="module")
def made(catalog: Any, authz: Any) -> Iterator[Published]:
    """What is read, while nothing else is done with the database."""
    found = Published(World(catalog), Policy(authz))
    catalog.catch_up()
    catalog.duties.stop()
    yield found
    catalog.restart_workers()


def test_every_read_of_the_contract_is_counted() -> None:
    assert set(READS) == set(METHODS)


def test_no_store_skips_rows() -> None:
    stores = Path(services.catalog.store.__file__).parent
    texts = {path.name: path.read_text() for path in stores.glob("*.py")}
    assert "readers.py" in texts
    # SQLAlchemy writes OFFSET after every LIMIT for SQLite, so statements do not tell.
    assert [name for name, text in texts.items() if ".offset(" in text or "slice(" in text] == []


def _called(catalog: Any, name: str, fields: dict[str, Any]) -> tuple[Any, list[str]]:
    """Call a read as the owner; answer its reply and its statements."""
    method = METHODS[name]
    token = make_token(catalog.authz.layout, subject="owner", tenant="default")
    channel = grpc.intercept_channel(catalog._plain, _Bearer(token))
    call = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    request = GetMessageClass(method.input_type)(**fields)
    with catalog.foundation.db.statements() as statements:
        answer = call(request)
    return answer, list(statements)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_read_is_few_statements(catalog: Any, made: Published, name: str) -> None:
    fields, expected = READS[name]
    answer, statements = _called(catalog, name, fields(made))
    assert answer.ByteSize()
    assert len(statements) == expected, statements
    assert not [text for text in statements if text.lower().startswith("select count(")]


@pytest.mark.parametrize("name", ["ListResourceGroups", "ListGalleries", "ListImageVersions"])
def test_a_list_of_all_that_is_seen_is_one_statement(
    catalog: Any, made: Published, name: str
) -> None:
    depth = {"ListResourceGroups": 2, "ListGalleries": 4, "ListImageVersions": 8}[name]
    parent = "/".join(EVERYWHERE.split("/")[:depth])
    answer, statements = _called(catalog, name, {"parent": parent})
    assert answer.ByteSize()
    assert len(statements) == 1
