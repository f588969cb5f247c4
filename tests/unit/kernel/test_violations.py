import pytest

from services.kernel.errors import (
    FailedPrecondition,
    InvalidArgument,
    InvalidName,
    NotFound,
    PermissionDenied,
)
from services.kernel.violations import Violations, nested


@pytest.fixture
def violations() -> Violations:
    return Violations()


def test_nothing_found_raises_nothing(violations):
    assert not violations
    assert violations.error() is None
    violations.raise_if_any()


def test_all_wrong_fields_are_answered_at_once_and_each_once(violations):
    violations.add("a", "wrong")
    violations.add("b", "wrong too")
    violations.add("a", "wrong")
    with pytest.raises(InvalidArgument) as raised:
        violations.raise_if_any()
    assert [violation.field for violation in raised.value.violations] == ["a", "b"]
    assert raised.value.reason == "INVALID_FIELDS"
    assert raised.value.message == "a: wrong; b: wrong too"


def test_a_wrong_request_wins_and_carries_the_preconditions(violations):
    violations.precondition("STATE", "things/t", "is going away")
    violations.add("a", "wrong")
    error = violations.error()
    assert isinstance(error, InvalidArgument)
    assert [violation.type for violation in error.precondition] == ["STATE"]


def test_state_alone_is_a_failed_precondition(violations):
    violations.precondition("STATE", "things/t", "is going away", reason="GOING")
    violations.precondition("COUNT", "things/u", "is full", reason="FULL", metadata={"max": "3"})
    error = violations.error()
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "PRECONDITION_FAILED"
    assert error.metadata == {"max": "3"}


def test_one_kind_of_precondition_gives_its_reason_and_metadata(violations):
    violations.precondition("COUNT", "things/t", "is full", reason="FULL", metadata={"max": "3"})
    violations.precondition("COUNT", "things/u", "is full", reason="FULL", metadata={"max": "4"})
    error = violations.error()
    assert error is not None
    assert (error.reason, error.metadata) == ("FULL", {"max": "3,4"})


def test_changed_immutable_properties_name_their_paths(violations):
    violations.immutable("location")
    violations.immutable("os_type")
    error = violations.error()
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "PROPERTY_CHANGE_NOT_ALLOWED"
    assert error.metadata == {"field": "location,os_type"}
    assert [violation.subject for violation in error.precondition] == ["location", "os_type"]


def test_changed_immutable_properties_beside_other_state_are_one_of_several(violations):
    violations.immutable("location")
    violations.precondition("STATE", "things/t", "is going away")
    error = violations.error()
    assert error is not None
    assert error.reason == "PRECONDITION_FAILED"


def test_one_kind_of_wrong_field_gives_its_reason(violations):
    violations.add("request_id", "used before", reason="REQUEST_ID_REUSED")
    error = violations.error()
    assert error is not None
    assert error.reason == "REQUEST_ID_REUSED"


def test_what_a_parser_raises_is_collected_and_other_errors_pass(violations):
    with violations.collect():
        raise InvalidName("x", "not a name", field="parent")
    with violations.collect():
        violations.add("other", "wrong")
    with pytest.raises(KeyError), violations.collect():
        raise KeyError
    assert [violation.field for violation in violations.fields] == ["parent", "other"]


def test_a_field_is_known_to_be_wrong_by_what_lies_below_it(violations):
    violations.add("thing.parts[0].size", "wrong")
    assert violations.has_field("thing.parts")
    assert violations.has_field("thing")
    assert not violations.has_field("thing.part")


def test_a_copy_begins_with_what_was_found_and_goes_its_own_way(violations):
    violations.add("a", "wrong", reason="A_REASON", metadata={"which": "a"})
    violations.immutable("b")

    copy = violations.copy()
    copy.add("c", "wrong too")

    assert [found.field for found in copy.fields] == ["a", "c"]
    assert copy.preconditions == violations.preconditions
    assert [found.field for found in violations.fields] == ["a"]
    error = violations.copy().error()
    assert error is not None
    assert (error.reason, dict(error.metadata)) == ("A_REASON", {"which": "a"})


def test_what_lies_in_a_request_within_a_call_is_named_from_there_and_raised_from_outside():
    call = Violations()
    call.add("name", "wrong")
    call.add("create.thing.size", "too big", reason="TOO_BIG")

    def handle() -> None:
        with nested("create", call) as inner:
            assert [found.field for found in inner.fields] == ["thing.size"]
            inner.add("thing.id", "wrong")
            inner.precondition("STATE", "a", "not now")
            inner.raise_if_any()

    with pytest.raises(InvalidArgument) as raised:
        handle()
    fields = [found.field for found in raised.value.violations]
    assert fields == ["name", "create.thing.size", "create.thing.id"]
    assert [found.type for found in raised.value.precondition] == ["STATE"]


def test_what_is_wrong_around_a_request_is_raised_whatever_becomes_of_it():
    call = Violations()
    call.add("name", "wrong")
    with pytest.raises(InvalidArgument), nested("create", call):
        pass
    with pytest.raises(InvalidArgument), nested("create", call):
        raise NotFound("gone")
    # Who may not know is told nothing else.
    with pytest.raises(PermissionDenied), nested("create", call):
        raise PermissionDenied("no")
    with pytest.raises(NotFound), nested("create", Violations()):
        raise NotFound("gone")
    with nested("create", Violations()) as inner:
        assert not inner
