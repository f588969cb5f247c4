"""Requests that nobody means: made of the contract's descriptors, some nearly right, some absurd.

Everything follows from a seed, so that what was found once is found again.
"""

import random
import re
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from google.api import resource_pb2
from google.protobuf import any_pb2, struct_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.type.v1 import method_policy_pb2

from services.kernel.rpc.resource_names import UnknownScope, _field, _patterns
from tests.system import absurdities

# Below what a server reads at all, which other tests are about.
_MAX_SENT: Final = 3 * 1024 * 1024
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
# The type whose ids a variable of a pattern takes, where it is not called like it.
_IDS: Final = {
    "image": "stoa.dev/ImageDefinition",
    "version": "stoa.dev/ImageVersion",
    "location": "stoa.dev/Region",
}
# What a field of this name usually holds.
_USUAL: Final[Mapping[str, Sequence[str]]] = {
    "action": ("Microsoft.Compute/galleries/read", "Microsoft.Compute/galleries/images/read"),
    "actions": ("Microsoft.Compute/galleries/read", "*/read", "*"),
    "display_name": ("Ada", "East US"),
    "filter": ('location = "eastus"', 'name = "x"', 'create_time > "2024-01-01T00:00:00Z"'),
    "location": ("eastus", "East US 2", "westus"),
    "locations": ("eastus", "East US 2", "westus"),
    "order_by": ("name", "create_time desc"),
    "user_principal_name": ("someone@example.org",),
    "zones": ("1", "2"),
}


class Fuzzer:
    """Makes requests; `names` are those of things that exist, by type of resource.

    `tokens` are pages and other opaque texts that were issued to somebody; `seeds` are requests
    that succeed, by the name of their message: some of what is sent differs little from them.
    """

    def __init__(
        self,
        seed: int,
        names: Mapping[str, Sequence[str]],
        tokens: Sequence[str],
        seeds: Mapping[str, Sequence[Message]],
    ) -> None:
        self._random: Final = random.Random(seed)
        self._names: Final = names
        self._tokens: Final = tokens
        self._seeds: Final = seeds
        self._all_names: Final = [name for found in names.values() for name in found]
        # How many elements lists and maps of this request may have yet: those within others
        # would be millions.
        self._left = 0
        # How many of all values are absurd, and how many fields are present, in this request.
        self._absurd = 0.0
        self._present = 0.5

    def request(self, method: MethodDescriptor) -> bytes:
        """Make one request, serialized; one in twelve is damaged after that."""
        chance = self._random
        self._left = 1_000
        self._absurd = chance.choice((0.0, 0.03, 0.1, 0.3, 1.0))
        self._present = chance.choice((0.15, 0.5, 0.9))
        seeds = self._seeds.get(method.input_type.full_name, ())
        if seeds and chance.random() < 0.6:
            message = GetMessageClass(method.input_type)()
            message.CopyFrom(chance.choice(seeds))
            for _ in range(chance.randint(0, 3)):
                self._change(message)
        else:
            message = self._message(method.input_type, 0)
        if chance.random() < 0.7:
            self._name(method, message)
        if "request_id" in method.input_type.fields_by_name and chance.random() < 0.8:
            message.request_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))  # type: ignore[attr-defined]
        sent = message.SerializeToString()
        if len(sent) > _MAX_SENT:
            sent = sent[:_MAX_SENT]
        return self._damaged(sent) if chance.random() < 1 / 12 else sent

    def _name(self, method: MethodDescriptor, message: Message) -> None:
        """Have the request be about something that exists, so that more than its name is read."""
        path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
        if not path and "name" in method.input_type.fields_by_name:
            path = "name"
        if not path:
            return
        *above, last = path.split(".")
        holder: Any = message
        for one in above:
            holder = getattr(holder, one)
        field = _field(method.input_type, path)
        known = self._known(field)
        if known:
            setattr(holder, last, self._random.choice(known))

    def _known(self, field: FieldDescriptor) -> list[str]:
        """Names of what exists that a field may refer to; parents of it for a child type."""
        reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
        kind = reference.type or reference.child_type
        if not kind and field.containing_type is not None:
            kind = field.containing_type.GetOptions().Extensions[resource_pb2.resource].type
        if not kind and field.full_name.startswith("google.longrunning."):
            kind = "stoa.dev/" + ("Subscription" if "List" in field.full_name else "Operation")
        found = list(self._names.get(kind, ()))
        if reference.child_type:
            found = ["/".join(name.split("/")[:-2]) for name in found]
        if kind == "*":
            found = self._all()
        elif kind and kind.startswith("stoa.dev/") and not found:
            found = self._likely(field)
        return [name for name in found if name]

    def _likely(self, field: FieldDescriptor) -> list[str]:
        """Names that something of the type could have, built of ids that exist."""
        holder: Any = field.containing_type
        try:
            patterns = _patterns(field, holder.file) or ()
        except UnknownScope:
            return []
        return [_VARIABLE.sub(self._id, pattern) for pattern in patterns]

    def _id(self, variable: re.Match[str]) -> str:
        kind = "stoa.dev/" + variable[1].title().replace("_", "")
        found = self._names.get(kind) or self._names.get(_IDS.get(variable[1], ""), ())
        return self._random.choice(found).split("/")[-1] if found else "absent1"

    def _all(self) -> list[str]:
        return self._all_names

    def _message(self, kind: Any, depth: int) -> Message:
        message = GetMessageClass(kind)()
        for field in kind.fields:
            if depth < 6 and self._random.random() < self._present:
                self._set(message, field, depth)
        return message

    def _change(self, message: Message) -> None:
        """Change one field of a message, or of one within it."""
        inner = [
            value
            for field, value in message.ListFields()
            if field.message_type is not None and not field.is_repeated
        ]
        if inner and self._random.random() < 0.6:
            self._change(self._random.choice(inner))
        elif message.DESCRIPTOR.fields:
            fields: Any = message.DESCRIPTOR.fields
            field: FieldDescriptor = self._random.choice(fields)
            message.ClearField(field.name)
            if self._random.random() < 0.8:
                self._absurd = max(self._absurd, 0.4)
                self._set(message, field, 1)

    def _set(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        value: Any = getattr(message, field.name)
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            self._set_map(value, kind, depth)
        elif field.is_repeated:
            for _ in range(self._count()):
                if kind is None:
                    value.append(self._scalar(field))
                else:
                    value.add().CopyFrom(self._inner(field, depth))
        elif kind is not None:
            value.CopyFrom(self._inner(field, depth))
        else:
            setattr(message, field.name, self._scalar(field))

    def _set_map(self, value: Any, kind: Any, depth: int) -> None:
        keys, values = kind.fields_by_name["key"], kind.fields_by_name["value"]
        for _ in range(self._count()):
            key = self._scalar(keys)
            if values.message_type is None:
                value[key] = self._scalar(values)
            else:
                value[key].CopyFrom(self._inner(values, depth))

    def _count(self) -> int:
        count = self._random.choice((0, 1, 1, 2, 3, 300) if self._is_absurd() else (1, 1, 2))
        count = min(count, self._left)
        self._left -= count
        return count

    def _inner(self, field: FieldDescriptor, depth: int) -> Message:
        kind: Any = field.message_type
        make = _WELL_KNOWN.get(kind.full_name)
        return make(self) if make else self._message(kind, depth + 1)

    def _is_absurd(self) -> bool:
        return self._random.random() < self._absurd

    def _scalar(self, field: FieldDescriptor) -> Any:
        chance = self._random
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self._text(field)
            case FieldDescriptor.TYPE_BYTES:
                return chance.randbytes(chance.choice((0, 1, 31, 32, 33, 70_000)))
            case FieldDescriptor.TYPE_BOOL:
                return chance.random() < 0.5
            case FieldDescriptor.TYPE_ENUM:
                kind: Any = field.enum_type
                known = [value.number for value in kind.values]
                return chance.choice((-1, 77, 2**31 - 1) if self._is_absurd() else known)
            case FieldDescriptor.TYPE_DOUBLE:
                return (
                    chance.choice(absurdities.REALS)
                    if self._is_absurd()
                    else chance.uniform(0, 100)
                )
            case FieldDescriptor.TYPE_FLOAT:
                return chance.choice((0.0, -1.0, float("nan"), float("inf")))
            case FieldDescriptor.TYPE_UINT32:
                return chance.choice(absurdities.UINT64[:3])
            case FieldDescriptor.TYPE_UINT64:
                return chance.choice(absurdities.UINT64)
            case FieldDescriptor.TYPE_INT32:
                return (
                    chance.choice(absurdities.INT32) if self._is_absurd() else chance.randint(1, 5)
                )
            case _:
                return (
                    chance.choice(absurdities.INT64) if self._is_absurd() else chance.randint(1, 5)
                )

    def _text(self, field: FieldDescriptor) -> str:
        chance = self._random
        if self._is_absurd():
            return self._absurd_text()
        known = self._known(field)
        if known and chance.random() < 0.8:
            return chance.choice(known)
        if field.name in _USUAL:
            return chance.choice(_USUAL[field.name])
        if field.name.endswith(("token", "etag", "digest")):
            return chance.choice((*self._tokens, ""))
        if field.name.endswith("_id"):
            return chance.choice(("1.0.0", "2.3.4", self._word(), str(uuid.uuid4())))
        if field.name.endswith(("uri", "url")):
            return f"https://example.org/{self._word()}"
        return chance.choice((self._word(), *self._all()))

    def _absurd_text(self) -> str:
        chance = self._random
        if chance.random() < 0.25 and (known := self._all()):
            name = chance.choice(known)
            at = chance.randrange(len(name) + 1)
            put = chance.choice(
                ("-", "..", "/", "%2f", "\0", "*", " ", "\u212a", "", "/x", "x" * 900)
            )
            return chance.choice((name[:at] + put + name[at:], name.swapcase(), name[:at] + put))
        if chance.random() < 0.1:
            points = (chance.randrange(0x110000) for _ in range(chance.randrange(60)))
            return "".join(chr(one) for one in points if not 0xD800 <= one < 0xE000)
        return chance.choice((*absurdities.TEXTS, *self._tokens))

    def _word(self) -> str:
        chance = self._random
        return "".join(chance.choices(string.ascii_lowercase + string.digits, k=8))

    def _timestamp(self) -> Message:
        return Timestamp(**self._moment(1_900_000_000))

    def _duration(self) -> Message:
        return Duration(**self._moment(1))

    def _moment(self, usual: int) -> dict[str, int]:
        if not self._is_absurd():
            return {"seconds": usual}
        return {
            "seconds": self._random.choice(absurdities.SECONDS),
            "nanos": self._random.choice(absurdities.NANOS),
        }

    def _mask(self) -> Message:
        known = (
            absurdities.PATHS if self._is_absurd() else ("tags", "description", "display_name", "*")
        )
        return FieldMask(paths=self._random.choices(known, k=self._random.randint(0, 4)))

    def _any(self) -> Message:
        kind = self._random.choice(("", "x", "type.googleapis.com/stoa.catalog.v1.Gallery"))
        return any_pb2.Any(type_url=kind, value=self._random.randbytes(9))

    def _struct(self) -> Message:
        nested = struct_pb2.Struct()
        holder = nested
        for _ in range(self._random.choice((1, 30))):
            holder = holder.fields["a"].struct_value
        return nested

    def _damaged(self, sent: bytes) -> bytes:
        chance = self._random
        at = chance.randrange(len(sent) + 1)
        return chance.choice(
            (
                sent[:at],
                sent[:at] + chance.randbytes(3) + sent[at:],
                sent + chance.randbytes(40),
                # A text that is no UTF-8, and groups that nobody closes.
                sent + b"\x0a\x02\xff\xfe",
                sent + b"\x0b" * 300,
                # A message within a message, deeper than any reader goes.
                _deep(200) + sent,
            )
        )


def _deep(levels: int) -> bytes:
    sent = b""
    for _ in range(levels):
        length = len(sent)
        size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
        sent = b"\x12" + size + sent
    return sent


_WELL_KNOWN: Final[Mapping[str, Callable[[Fuzzer], Message]]] = {
    "google.protobuf.Any": Fuzzer._any,
    "google.protobuf.Duration": Fuzzer._duration,
    "google.protobuf.FieldMask": Fuzzer._mask,
    "google.protobuf.Struct": Fuzzer._struct,
    "google.protobuf.Timestamp": Fuzzer._timestamp,
}
