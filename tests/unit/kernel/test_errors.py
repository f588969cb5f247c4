import grpc
import pytest

from services.kernel import errors
from services.kernel.errors import Code, InvalidName, StoaError, class_of


def all_classes(cls: type[StoaError] = StoaError) -> list[type[StoaError]]:
    return [cls] + [one for sub in cls.__subclasses__() for one in all_classes(sub)]


def test_codes_have_the_numbers_of_grpc():
    assert {code.name: code.value for code in Code} == {
        code.name: code.value[0] for code in grpc.StatusCode
    }


def test_every_code_that_is_answered_has_a_class():
    without = {code for code in Code if class_of(code) is StoaError}
    assert without == {Code.OK, Code.UNKNOWN, Code.DATA_LOSS}
    assert all(class_of(code).code is code for code in set(Code) - without)


@pytest.mark.parametrize("cls", all_classes()[1:])
def test_the_tree_at_the_top_of_the_module_is_complete(cls):
    (line,) = [
        line
        for line in (errors.__doc__ or "").splitlines()
        if cls.__name__ in line.replace("\u2502", " ").split()[:-2]
    ]
    assert line.split()[-2:] == [cls.code.name, cls.default_reason]


def test_an_error_keeps_all_that_it_is_given():
    error = errors.ResourceExhausted(
        "full",
        metadata={"limit": "5"},
        quota=[errors.QuotaViolation("subscriptions/s", "at most 5")],
        retry_after=2.5,
    )
    assert (error.reason, error.message, str(error)) == ("QUOTA_EXCEEDED", "full", "full")
    assert error.metadata == {"limit": "5"}
    assert error.quota[0].subject == "subscriptions/s"
    assert error.retry_after == 2.5


def test_a_denial_reads_the_same_whether_or_not_the_resource_exists():
    denied = errors.PermissionDenied.of("things/read", "things/t")
    assert denied.message == (
        "Permission 'things/read' denied on resource 'things/t' (or it may not exist)."
    )
    assert denied.metadata == {"permission": "things/read", "resource": "things/t"}


def test_absence_and_presence_name_the_resource():
    for error in (
        errors.NotFound.of("Thing", "things/t"),
        errors.AlreadyExists.of("Thing", "things/t"),
    ):
        assert error.metadata == {"resource": "things/t"}
        assert error.resource == errors.ResourceInfo("Thing", "things/t")


def test_a_wrong_name_says_what_is_wrong_with_which_field():
    error = InvalidName("x", "a problem", field="parent")
    assert error.violations == (errors.FieldViolation("parent", "a problem", "INVALID_FIELDS"),)
    assert (error.text, error.problem, error.message) == ("x", "a problem", "parent: a problem")
