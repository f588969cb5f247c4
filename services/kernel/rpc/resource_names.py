"""Reads, from the descriptors, which resource names a request field may hold."""

from collections.abc import Iterator
from typing import Any, Final

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

from services.kernel import names
from services.kernel.errors import InvalidName
from services.kernel.names import Name, Pattern

ANY_TYPE: Final = "*"


class UnknownScope(ValueError):
    """A scope field that is not there, is no name, or names a type without a pattern."""


class ScopeReader:
    """Reads the name in one field of a request, by the patterns of the type it refers to."""

    __slots__ = ("_above", "_accepts_root", "_last", "_pattern", "_wildcards", "path")

    def __init__(self, request: Descriptor, path: str, *, wildcards: bool) -> None:
        self.path: Final = path
        *self._above, self._last = path.split(".")
        self._wildcards = wildcards
        patterns = _patterns(_field(request, path), request.file)
        # A parent of a top-level resource is the installation.
        self._accepts_root = patterns is None or "" in patterns
        patterns = patterns and [pattern for pattern in patterns if pattern]
        self._pattern = Pattern(*patterns) if patterns else None

    def read(self, request: Message) -> Name:
        """Answer the name in `request`.

        Raises:
            InvalidName: absent or malformed; carries the path of the field.
        """
        message: object = request
        for segment in self._above:
            message = getattr(message, segment)
        text: str = getattr(message, self._last)
        if self._accepts_root and text == names.ROOT:
            return Name(names.ROOT, names.ROOT, {}, "")
        if self._pattern is None:
            return _any_name(text, self.path)
        return self._pattern.parse(text, wildcards=self._wildcards, field=self.path)


def _field(request: Descriptor, path: str) -> FieldDescriptor:
    message: Descriptor | None = request
    field = None
    for segment in path.split("."):
        field = message.fields_by_name.get(segment) if message is not None else None
        if field is None or field.is_repeated:
            raise UnknownScope(f"{request.full_name} has no singular field {path}")
        message = field.message_type
    if field is None or field.type != FieldDescriptor.TYPE_STRING:
        raise UnknownScope(f"{request.full_name}.{path} is not a string")
    return field


def _patterns(field: FieldDescriptor, file: FileDescriptor) -> list[str] | None:
    """Answer the patterns that the field may hold, None for any name at all.

    A reference by `child_type` is to the parents of that type: its patterns without their
    last collection and id (AIP-4231).
    """
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
    type_name = reference.type or reference.child_type or _own_type(field)
    if not type_name:
        raise UnknownScope(f"{field.full_name} has no google.api.resource_reference")
    if type_name == ANY_TYPE:
        return None
    found = [
        pattern
        for resource in _resources(file, set())
        if resource.type == type_name
        for pattern in resource.pattern
    ]
    if not found:
        raise UnknownScope(f"{field.full_name} refers to {type_name}, which has no pattern")
    if reference.child_type:
        found = ["/".join(pattern.split("/")[:-2]) for pattern in found]
    return list(dict.fromkeys(found))


def _own_type(field: FieldDescriptor) -> str:
    """Answer the type of the resource whose own name the field is, empty for any other field."""
    if field.containing_type is None:
        return ""
    resource = field.containing_type.GetOptions().Extensions[resource_pb2.resource]
    own: str = resource.type if field.name == (resource.name_field or "name") else ""
    return own


def _resources(file: FileDescriptor, seen: set[str]) -> Iterator[Any]:
    if file.name in seen:
        return
    seen.add(file.name)
    yield from file.GetOptions().Extensions[resource_pb2.resource_definition]
    for message in file.message_types_by_name.values():
        options = message.GetOptions()
        if options.HasExtension(resource_pb2.resource):
            yield options.Extensions[resource_pb2.resource]
    for dependency in file.dependencies:
        yield from _resources(dependency, seen)


def _any_name(text: str, path: str) -> Name:
    """Read a name of any type: what holds everywhere is checked, the collections are not."""
    if len(text) > names.MAX_NAME_LENGTH:
        problem = f"a name has at most {names.MAX_NAME_LENGTH} characters"
        raise InvalidName(text, problem, field=path)
    segments = text.split("/")
    if len(segments) % 2 or not all(segments):
        raise InvalidName(text, "a name alternates collections and ids", field=path)
    for one in segments[1::2]:
        problem_found = names.id_problem(one)
        if problem_found is not None:
            raise InvalidName(text, problem_found, field=path)
    return Name(text, names.key(text), {}, ANY_TYPE)
