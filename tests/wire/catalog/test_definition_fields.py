"""Image definitions, field by field (gallery-semantics 1.2, 3.1, 3.2, 3.3, 3.5, 3.10)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import image_definition_pb2 as pb
from stoa.catalog.v1 import image_definition_service_pb2 as service_pb
from stoa.catalog.v1 import machine_hardware_pb2, purchase_plan_pb2
from stoa.type.v1 import os_type_pb2

from services.catalog.domain.features import KNOWN
from tests.wire.catalog.installation import World, refused

Code = grpc.StatusCode
PATH = "image_definition"
V2 = os_type_pb2.HYPER_V_GENERATION_V2
FINANCE = (
    ("Contoso", "Finance", "Backend"),
    ("Contoso", "Finance", "Frontend"),
    ("Testing", "Finance", "Frontend"),
)


def create(world: World, request: Any) -> Any:
    return world.owner.definitions.CreateImageDefinition(request)


def get(world: World, name: str) -> Any:
    return world.owner.definitions.GetImageDefinition(
        service_pb.GetImageDefinitionRequest(name=name)
    )


def update(world: World, definition: Any, *paths: str, **more: Any) -> Any:
    request = service_pb.UpdateImageDefinitionRequest(image_definition=definition, **more)
    request.update_mask.paths.extend(paths)
    return world.owner.definitions.UpdateImageDefinition(request)


def time_in(**span: int) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(datetime.now(UTC).replace(microsecond=0) + timedelta(**span))
    return made


def test_contoso_finance_backend_frontend_and_testing_stand_in_one_gallery_and_no_second_of_any(
    world: World,
) -> None:
    gallery = world.gallery()
    made = {}
    for triple in FINANCE:
        request = world.definition_request(gallery)
        identifier = request.image_definition.identifier
        identifier.publisher, identifier.offer, identifier.sku = triple
        made[triple] = create(world, request).name
    for triple in FINANCE:
        request = world.definition_request(gallery)
        identifier = request.image_definition.identifier
        identifier.publisher, identifier.offer, identifier.sku = triple[0].upper(), *triple[1:]
        with refused(Code.ALREADY_EXISTS, "IMAGE_IDENTIFIER_TAKEN") as found:
            create(world, request)
        assert found.info.metadata["resource"] == made[triple]
        # In another gallery it is free.
        request.parent = world.gallery()
        create(world, request)


def full(world: World) -> Any:
    """A request with every field that can be given."""
    return world.definition_request(
        os_type=os_type_pb2.OS_TYPE_WINDOWS,
        os_state=os_type_pb2.OS_STATE_SPECIALIZED,
        hyper_v_generation=V2,
        architecture=os_type_pb2.ARCHITECTURE_ARM64,
        description="An image",
        eula="Be kind.",
        privacy_statement_uri="https://example.org/privacy",
        release_note_uri="https://example.org/notes",
        end_of_life_time=time_in(days=30),
        recommended=pb.RecommendedMachine(
            vcpus=pb.ResourceRange(min=2, max=80), memory_gb=pb.ResourceRange(min=1, max=640)
        ),
        disallowed=pb.Disallowed(
            disk_types=[
                machine_hardware_pb2.DISK_TYPE_STANDARD_LRS,
                machine_hardware_pb2.DISK_TYPE_PREMIUM_LRS,
            ]
        ),
        purchase_plan=purchase_plan_pb2.PurchasePlan(name="n", publisher="p", product="q"),
        features=[
            pb.ImageFeature(name="SecurityType", value="TrustedLaunch"),
            pb.ImageFeature(name="IsHibernateSupported", value="True", starts_at_version="2.0.0"),
        ],
        tags={"team": "platform"},
    )


def test_every_field_is_kept_and_answered(world: World) -> None:
    request = full(world)
    made = create(world, request)
    sent = request.image_definition
    for field, value in sent.ListFields():
        assert getattr(made, field.name) == value, field.name
    assert get(world, made.name) == made
    assert made.uid
    assert made.etag


def test_what_is_not_given_has_the_defaults_of_the_original(world: World) -> None:
    made = create(world, world.definition_request())
    assert made.hyper_v_generation == os_type_pb2.HYPER_V_GENERATION_V1
    assert made.architecture == os_type_pb2.ARCHITECTURE_X64
    for field in ("recommended", "disallowed", "purchase_plan", "end_of_life_time"):
        assert not made.HasField(field)
    assert not made.features


@pytest.mark.parametrize("missing", ["os_type", "os_state", "identifier", "location"])
def test_what_is_required_is_missed(world: World, missing: str) -> None:
    request = world.definition_request()
    request.image_definition.ClearField(missing)
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world, request)
    parts = (
        [f".{one}" for one in ("publisher", "offer", "sku")] if missing == "identifier" else [""]
    )
    assert set(found.fields) == {f"{PATH}.{missing}{part}" for part in parts}


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "a" * 80, "0", "x86_64-linux.v2"])
def test_a_name_of_the_original_is_taken(world: World, name: str) -> None:
    request = world.definition_request()
    request.image_definition_id = name
    assert create(world, request).name.endswith(f"/images/{name}")


@pytest.mark.parametrize("name", ["", "-a", "a-", "_a", "a_", ".a", "a.", "a" * 81, "a b", "ä"])
def test_a_name_that_the_original_refuses_is_refused(world: World, name: str) -> None:
    request = world.definition_request()
    request.image_definition_id = name
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world, request)
    assert set(found.fields) == {"image_definition_id"}


@pytest.mark.parametrize(("part", "most"), [("publisher", 128), ("offer", 64), ("sku", 64)])
def test_publisher_offer_and_sku_have_their_own_rules(world: World, part: str, most: int) -> None:
    for good in ("a", "-a_b.c-", "x" * most):
        request = world.definition_request()
        setattr(request.image_definition.identifier, part, good)
        assert getattr(create(world, request).identifier, part) == good
    for bad in ("", "ends.", "with space", "x" * (most + 1), "a/b"):
        request = world.definition_request()
        setattr(request.image_definition.identifier, part, bad)
        with refused(Code.INVALID_ARGUMENT) as found:
            create(world, request)
        assert set(found.fields) == {f"{PATH}.identifier.{part}"}


@pytest.mark.parametrize(("field", "most"), [("vcpus", 80), ("memory_gb", 640)])
def test_recommendations_have_bounds_and_an_order(world: World, field: str, most: int) -> None:
    for low, high, good in (
        (1, most, True),
        (3, 3, True),
        (0, 1, False),
        (1, most + 1, False),
        (4, 3, False),
    ):
        request = world.definition_request()
        wanted = getattr(request.image_definition.recommended, field)
        wanted.min, wanted.max = low, high
        if good:
            assert getattr(create(world, request).recommended, field) == wanted
            continue
        with refused(Code.INVALID_ARGUMENT) as found:
            create(world, request)
        assert all(one.startswith(f"{PATH}.recommended.{field}") for one in found.fields)


def test_a_plan_is_whole_and_disallowed_types_do_not_repeat(world: World) -> None:
    request = world.definition_request()
    request.image_definition.purchase_plan.name = "alone"
    kind = machine_hardware_pb2.DISK_TYPE_STANDARD_LRS
    request.image_definition.disallowed.disk_types.extend([kind, kind])
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world, request)
    assert set(found.fields) == {
        f"{PATH}.purchase_plan.publisher",
        f"{PATH}.purchase_plan.product",
        f"{PATH}.disallowed.disk_types",
    }


def test_the_end_of_life_of_a_definition_is_in_the_future_when_it_is_set(world: World) -> None:
    for past in (time_in(seconds=-1), time_in(days=-400)):
        with refused(Code.INVALID_ARGUMENT, "END_OF_LIFE_PASSED"):
            create(world, world.definition_request(end_of_life_time=past))
    made = create(world, world.definition_request())
    made.end_of_life_time.CopyFrom(time_in(seconds=-1))
    with refused(Code.INVALID_ARGUMENT, "END_OF_LIFE_PASSED") as found:
        update(world, made, "end_of_life_time")
    assert set(found.fields) == {f"{PATH}.end_of_life_time"}
    # What is wrong with a request by itself is said before what is not there.
    absent = pb.ImageDefinition(name=f"{made.name}-absent", end_of_life_time=time_in(days=-1))
    with refused(Code.INVALID_ARGUMENT, "END_OF_LIFE_PASSED"):
        update(world, absent, "end_of_life_time")
    made.end_of_life_time.CopyFrom(time_in(days=1))
    changed = update(world, made, "end_of_life_time")
    assert changed.end_of_life_time == made.end_of_life_time
    assert not update(world, pb.ImageDefinition(name=made.name), "end_of_life_time").HasField(
        "end_of_life_time"
    )


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("location", {"location": "westus"}),
        ("os_type", {"os_type": os_type_pb2.OS_TYPE_WINDOWS}),
        ("os_state", {"os_state": os_type_pb2.OS_STATE_SPECIALIZED}),
        ("hyper_v_generation", {"hyper_v_generation": V2}),
        ("architecture", {"architecture": os_type_pb2.ARCHITECTURE_ARM64}),
        ("eula", {"eula": "Other"}),
        ("privacy_statement_uri", {"privacy_statement_uri": "https://example.org/other"}),
        (
            "disallowed",
            {"disallowed": pb.Disallowed(disk_types=[machine_hardware_pb2.DISK_TYPE_PREMIUM_LRS])},
        ),
        (
            "purchase_plan",
            {"purchase_plan": purchase_plan_pb2.PurchasePlan(name="x", publisher="p", product="q")},
        ),
        ("identifier.publisher", {"identifier": pb.ImageIdentifier(publisher="Other")}),
        ("identifier.offer", {"identifier": pb.ImageIdentifier(offer="Other")}),
        ("identifier.sku", {"identifier": pb.ImageIdentifier(sku="Other")}),
        ("features", {"features": [pb.ImageFeature(name="IsHibernateSupported", value="True")]}),
    ],
)
def test_what_never_changes_is_refused_by_its_path(
    world: World, path: str, change: dict[str, Any]
) -> None:
    name = world.definition()
    for paths in ((), (path,), ("*",)):
        if paths == ("*",) and path == "features":
            continue
        with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
            update(world, pb.ImageDefinition(name=name, **change), *paths)
        assert found.info.metadata["field"] == path


def test_sending_back_what_was_answered_changes_nothing_that_may_not_change(world: World) -> None:
    made = create(world, full(world))
    made.location = "East US"
    made.identifier.publisher = made.identifier.publisher.upper()
    made.purchase_plan.name = "N"
    made.description = "Other"
    changed = update(world, made)
    assert changed.description == "Other"
    assert changed.identifier.publisher == "Publisher"
    assert changed.purchase_plan.name == "n"
    assert update(world, changed, "*").description == "Other"


def test_all_that_may_change_changes(world: World) -> None:
    made = create(world, full(world))
    end = time_in(days=99)
    wanted = pb.ImageDefinition(
        name=made.name,
        description="New",
        release_note_uri="https://example.org/new",
        end_of_life_time=end,
        recommended=pb.RecommendedMachine(vcpus=pb.ResourceRange(max=4)),
        tags={"a": "b"},
    )
    paths = ("description", "release_note_uri", "end_of_life_time", "recommended", "tags")
    changed = update(world, wanted, *paths)
    for path in paths:
        assert getattr(changed, path) == getattr(wanted, path)
    cleared = update(world, pb.ImageDefinition(name=made.name), *paths)
    assert not cleared.description
    assert not cleared.tags
    assert not cleared.HasField("recommended")


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in KNOWN.items() for value in values]
)
def test_every_feature_is_taken_without_case_and_answered_in_its_own(
    world: World, name: str, value: str
) -> None:
    feature = pb.ImageFeature(name=name.lower(), value=value.upper())
    made = create(world, world.definition_request(hyper_v_generation=V2, features=[feature]))
    assert list(made.features) == [pb.ImageFeature(name=name, value=value)]


@pytest.mark.parametrize("value", sorted(set(KNOWN["SecurityType"]) - {"Standard"}))
def test_a_security_type_needs_generation_v2(world: World, value: str) -> None:
    feature = pb.ImageFeature(name="SecurityType", value=value)
    with refused(Code.INVALID_ARGUMENT, "FEATURE_INVALID") as found:
        create(world, world.definition_request(features=[feature]))
    assert found.info.metadata["feature"] == "SecurityType"


def test_wrong_features_are_told_each_by_its_place(world: World) -> None:
    features = [
        pb.ImageFeature(name="SecurityType", value="TrustedLaunch"),
        pb.ImageFeature(name="securitytype", value="ConfidentialVM"),
        pb.ImageFeature(name="IsHibernateSupported", value="Perhaps"),
        pb.ImageFeature(name="Magic", value="True"),
        pb.ImageFeature(name="DiskControllerType", value="SCSI", starts_at_version="1.2"),
        pb.ImageFeature(
            name="IsAcceleratedNetworkSupported",
            value="True",
            starts_at_version="1.2.99999999999",
        ),
    ]
    with refused(Code.INVALID_ARGUMENT) as found:
        create(world, world.definition_request(hyper_v_generation=V2, features=features))
    assert set(found.fields) == {
        f"{PATH}.features[1].name",
        f"{PATH}.features[2].value",
        f"{PATH}.features[3].name",
        f"{PATH}.features[4].starts_at_version",
        f"{PATH}.features[5].starts_at_version",
    }


def hibernating(world: World, name: str, start: str, *, allow: bool = True) -> Any:
    feature = pb.ImageFeature(name="IsHibernateSupported", value="true", starts_at_version=start)
    return update(
        world,
        pb.ImageDefinition(name=name, features=[feature]),
        "features",
        allow_update_image=allow,
    )


def test_features_change_only_with_leave_and_from_a_version_that_is_not_there_yet(
    world: World,
) -> None:
    name = world.definition()
    world.version(name, "1.5.0")
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as found:
        hibernating(world, name, "2.0.0", allow=False)
    assert set(found.preconditions) == {"features"}
    for start in ("", "1.0.0", "1.05.0"):
        with refused(Code.FAILED_PRECONDITION, "FEATURE_CONFLICT") as found:
            hibernating(world, name, start)
        assert found.info.metadata == {
            "feature": "IsHibernateSupported",
            "resource": f"{name}/versions/1.5.0",
        }
    changed = hibernating(world, name, "1.5.1")
    assert [(one.name, one.value, one.starts_at_version) for one in changed.features] == [
        ("IsHibernateSupported", "True", "1.5.1")
    ]
    world.version(name, "2.0.0")
    # 2.0.0 has it now, and would lose it; 1.5.0 would get it.
    for start, loser in (("2.0.1", "2.0.0"), ("1.5.0", "1.5.0")):
        with refused(Code.FAILED_PRECONDITION, "FEATURE_CONFLICT") as found:
            hibernating(world, name, start)
        assert found.info.metadata["resource"] == f"{name}/versions/{loser}"
    with refused(Code.FAILED_PRECONDITION, "FEATURE_CONFLICT"):
        update(world, pb.ImageDefinition(name=name), "features", allow_update_image=True)
    assert hibernating(world, name, "2.0.0").features[0].starts_at_version == "2.0.0"


def test_giving_a_feature_the_value_that_it_has_anyway_is_no_conflict(world: World) -> None:
    name = world.definition()
    world.version(name)
    features = [
        pb.ImageFeature(name="SecurityType", value="Standard"),
        pb.ImageFeature(name="IsHibernateSupported", value="False"),
        pb.ImageFeature(name="DiskControllerTypes", value="SCSI"),
    ]
    sent = pb.ImageDefinition(name=name, features=features)
    assert list(update(world, sent, "features", allow_update_image=True).features) == features
