"""The field rules written in the contract are enforced by the validator that the services use."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import protovalidate
import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from protovalidate._gen.buf.validate import validate_pb

GEN = Path(__file__).resolve().parents[3] / "gen"


@pytest.fixture(scope="module")
def annotated() -> type[Message]:
    """A message that is built here, so that these tests depend on no rule of the contract."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/unit/contract/annotated.proto",
        package="stoa.tests",
        syntax="proto3",
        dependency=["buf/validate/validate.proto"],
    )
    message = file.message_type.add(name="Annotated")
    name = message.field.add(
        name="name", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL", json_name="name"
    )
    name.options.Extensions[validate_pb2.field].string.min_len = 3
    count = message.field.add(
        name="count", number=2, type="TYPE_INT32", label="LABEL_OPTIONAL", json_name="count"
    )
    count.options.Extensions[validate_pb2.field].int32.lte = 10
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("stoa.tests.Annotated"))


def test_a_message_that_keeps_the_rules_has_no_violation(annotated: type[Message]) -> None:
    assert protovalidate.collect_violations(annotated(name="abc", count=10)) == []


def test_every_broken_rule_is_reported_at_once_with_its_field(annotated: type[Message]) -> None:
    violations = protovalidate.collect_violations(annotated(name="ab", count=11))

    found = {
        (v.proto.field.elements[0].field_name if v.proto.field else "", v.proto.rule_id)
        for v in violations
    }
    assert found == {("name", "string.min_len"), ("count", "int32.lte")}


def _schema(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """The file without what says nothing about its schema: options of other languages."""
    schema = descriptor_pb2.FileDescriptorProto()
    schema.CopyFrom(file)
    schema.ClearField("options")
    schema.ClearField("source_code_info")
    return schema


def test_the_vendored_rules_are_those_that_the_validator_implements() -> None:
    vendored = descriptor_pb2.FileDescriptorProto()
    validate_pb2.DESCRIPTOR.CopyToProto(vendored)
    implemented = descriptor_pb2.FileDescriptorProto.FromString(
        validate_pb.desc().proto.to_binary()
    )

    assert _schema(vendored) == _schema(implemented)


def _messages(descriptors: Iterator[Descriptor]) -> Iterator[Descriptor]:
    for descriptor in descriptors:
        if not descriptor.GetOptions().map_entry:
            yield descriptor
            yield from _messages(iter(descriptor.nested_types))


@pytest.mark.parametrize(
    "module",
    [
        ".".join(path.relative_to(GEN).with_suffix("").parts)
        for path in sorted(GEN.glob("stoa/*/v1/*_pb2.py"))
    ],
)
def test_every_rule_of_the_contract_compiles(module: str) -> None:
    file = importlib.import_module(module).DESCRIPTOR
    for descriptor in _messages(iter(file.message_types_by_name.values())):
        # Raises CompilationError for a rule that does not fit its field, or is not CEL.
        protovalidate.collect_violations(message_factory.GetMessageClass(descriptor)())
