"""One conversation with the service: what is said is sent to both, and what comes back compared."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import grpc
from google.protobuf import empty_pb2
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from stoa.catalog.v1 import image_version_pb2, operation_metadata_pb2

from tests.wire.catalog.model import comparing, deletion, sending
from tests.wire.catalog.model.drawing import drawn
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Definition, Gallery, Operation, Version
from tests.wire.catalog.model.requests import CreateVersion, Delete
from tests.wire.catalog.model.rules import Model, Outcome, Request
from tests.wire.catalog.model.service import Service, settled
from tests.wire.catalog.model.state import parent
from tests.wire.catalog.model.words import Etag, Wait

Resource = Gallery | Definition | Version


class Conversation(RuleBasedStateMachine):
    """In a subscription of its own, in a catalog that many conversations share."""

    service: ClassVar[Service]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        subscription = self.service.subscription()
        self.model = Model(subscription, self.service.clock)
        for _ in range(2):
            group = self.service.group(subscription)
            self.model.state.groups[group.lower()] = group
        # Etags that were current once, by the uid of the resource.
        self._etags: dict[str, str] = {}
        # Operations of deletes that replication does not let come to their end.
        self._held: dict[str, str] = {}

    def draw(self, data: st.DataObject, what: str, *about: Any, careful: bool = False) -> Any:
        return data.draw(drawn(self.model.state, what, *about, careful=careful))

    def count(self) -> None:
        type(self).steps += 1

    def perform(self, data: st.DataObject, request: Request) -> None:
        """Send a request, with a request id now and then, and compare what comes back."""
        self.count()
        if isinstance(request, Delete) and request.force:
            self.release()
        message = sending.message(request, etag=self._etag(request), blobs=self._blobs(request))
        if data.draw(st.integers(0, 5)) == 5:
            message.request_id = str(uuid.uuid4())
        before = self._current(request)
        faults = self.model.check(request)
        note(f"expected: {faults}")
        call = sending.call(self.service.stubs, request)
        try:
            reply = call(message)
        except grpc.RpcError as error:
            self.agree(request, faults.differs(comparing.refusal(error)))
            return
        assert not faults, f"{request} must be refused: {faults}"
        below = self._below(request)
        outcome = self.model.perform(request)
        if message.request_id and not request.validate_only:
            self._repeat(call, message, reply)
        self._accepted(request, outcome, reply, below)
        if before is not None and not request.validate_only:
            found = self._current(request)
            if found is not None and found.etag != before.etag:
                self._etags[before.uid] = before.etag

    def hold(self, version: Version) -> None:
        """Delete a version for good while replication does nothing about it."""
        self.count()
        request = Delete(version.name, purge=True)
        faults = self.model.check(request)
        note(f"held: {request}, expected: {faults}")
        self.service.replication.stubborn.add(version.uid)
        try:
            reply = sending.call(self.service.stubs, request)(sending.message(request))
        except grpc.RpcError as error:
            self.agree(request, faults.differs(comparing.refusal(error)))
            self.service.replication.stubborn.discard(version.uid)
            return
        assert not faults, f"{request} must be refused: {faults}"
        assert not reply.done
        self._held[version.uid] = reply.name
        deletion.hold(self.model.state, version)
        self.check_version(version)

    def release(self) -> None:
        """Let replication do what it did not."""
        self.service.replication.stubborn -= self._held.keys()
        for uid, operation in self._held.items():
            done = self.service.wait(operation)
            assert done.done, done
            version = self.model.state.by_uid(uid)
            assert version is not None
            deletion.remove(self.model.state, version)
            self._check_gone(version.name)
        self._held.clear()

    def teardown(self) -> None:
        self.service.replication.stubborn -= self._held.keys()

    def _repeat(self, call: Any, message: Any, reply: Any) -> None:
        """The same id with the same request, and with another one."""
        again = call(message)
        assert again == reply, "repeated with its request id, it answered something else"
        other = sending.other(message)
        try:
            call(other)
        except grpc.RpcError as error:
            found = comparing.refusal(error)
            assert (found.code, found.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED"), found
            return
        raise AssertionError(f"a request id was taken twice: {other}")

    def _accepted(
        self, request: Request, outcome: Outcome, reply: Any, below: Sequence[str]
    ) -> None:
        resource = outcome.resource
        if isinstance(request, Delete):
            self._deleted(request, resource, reply, below)
        elif isinstance(resource, Version):
            assert outcome.operation is not None
            self._changed(request, resource, outcome.operation, reply)
        else:
            self.agree(request, *self._differences(resource, reply))
            if not request.validate_only:
                self.check(resource)

    def _changed(
        self, request: Request, version: Version, operation: Operation, reply: Any
    ) -> None:
        if request.validate_only:
            assert reply.done
            assert not reply.name
            found = image_version_pb2.ImageVersion()
            assert reply.response.Unpack(found)
            self.agree(request, *comparing.named(version.name, found.name))
            assert found.generation == version.generation, found
            return
        if operation.doubtful and reply.done:
            operation.outcome = ""
        operation.doubtful = False
        if operation.outcome == "" and operation.wait is not Wait.HOME_REGION:
            assert reply.done, "what changes nothing, or waits for nothing, is done at once"
        operation.name = reply.name
        if not version.uid:
            version.uid = self.service.get(version.name).uid
            operation.version = version.uid
        self.check_version(version)
        self._check_wanted(version)

    def _deleted(
        self, request: Delete, resource: Resource, reply: Any, below: Sequence[str]
    ) -> None:
        if isinstance(resource, Version) and resource.deleting:
            # Asked for again: it goes on, and ends when replication lets it.
            assert request.validate_only or not reply.done
            return
        done = reply if request.validate_only else self.service.wait(reply.name)
        assert done.done, done
        assert bool(reply.name) is not request.validate_only
        metadata = operation_metadata_pb2.DeleteOperationMetadata()
        assert done.metadata.Unpack(metadata)
        assert sorted(metadata.resources) == sorted(below), metadata
        assert metadata.resources[-1] == resource.name, metadata
        assert metadata.resource_count == len(below), metadata
        if request.validate_only:
            return
        assert done.response.Is(empty_pb2.Empty.DESCRIPTOR), done
        if isinstance(resource, Version) and self.model.state.by_uid(resource.uid):
            self.check_version(resource)
            self._check_wanted(resource)
        else:
            assert metadata.deleted_count == len(below), metadata
            self._check_gone(resource.name)

    def _check_gone(self, name: str) -> None:
        try:
            found = self.service.get(name)
        except grpc.RpcError as error:
            answer = comparing.refusal(error)
            expected = "VERSION_DELETED" if name.count("/") == 9 else "RESOURCE_NOT_FOUND"
            assert (answer.code, answer.reason) == ("NOT_FOUND", expected), answer
            return
        raise AssertionError(f"deleted, and still there: {found}")

    def check(self, resource: Gallery | Definition) -> None:
        """Compare a gallery or definition as it is now."""
        found = self.service.get(resource.name)
        self.agree(resource.name, *self._differences(resource, found))

    def check_version(self, version: Version) -> None:
        """Compare a version and its operations, once what it was told has arrived."""

        def look() -> list[str]:
            found = self.service.get(version.name)
            differences = list(self._differences(version, found))
            for operation in self.model.state.operations:
                if operation.version == version.uid and operation.name:
                    shown = self.service.operation(operation.name)
                    told = comparing.operation(operation, shown)
                    differences += [f"{operation.verb}: {one}" for one in told]
            return differences

        self.agree(version.name, *settled(look))

    def _check_wanted(self, version: Version) -> None:
        """Compare what replication was asked for with what is wanted."""
        asked = self.service.ensured(version.uid, version.generation).desired
        expected = {
            one.location: (version.wanted(one), version.kept_on(one).name)
            for one in version.targets
            if version.rows[one.location].removed is None
        }
        shown = {one.location: comparing.wanted(one) for one in asked.regions}
        assert shown == expected, f"{version.name}: {shown} instead of {expected}"
        assert asked.HasField("read_end_time") is version.soft_deleted, asked
        assert asked.home_location == version.location, asked

    def same_names(self, found: Iterable[Any], names: Sequence[str]) -> None:
        """Compare what a list holds, in its order."""
        shown = [one.name for one in found]
        assert shown == list(names), f"{shown} instead of {names}"

    def agree(self, about: object, *differences: str) -> None:
        found = [one for one in differences if one]
        assert not found, f"{about}:\n  " + "\n  ".join(found)

    def _differences(self, resource: Resource, found: Any) -> list[str]:
        if isinstance(resource, Gallery):
            return list(comparing.gallery(resource, found))
        if isinstance(resource, Definition):
            return list(comparing.definition(resource, found))
        return list(comparing.version(resource, self.model.state, found))

    def _below(self, request: Request) -> list[str]:
        """The names of what a delete takes along, itself included."""
        if not isinstance(request, Delete):
            return []
        found = deletion.find(self.model.state, request.name)
        assert found is not None
        names = [found.name]
        if not isinstance(found, Version):
            names += [one.name for one in deletion.versions_of(found)]
        if isinstance(found, Gallery):
            names += [one.name for one in found.definitions.values()]
        return names

    def _current(self, request: Request) -> Any:
        """What the request is about as it is now, if it is there."""
        name = getattr(request, "name", "")
        try:
            return self.service.get(name) if name else None
        except grpc.RpcError:
            return None

    def _etag(self, request: Request) -> str:
        kind = getattr(request, "etag", Etag.NONE)
        if kind is Etag.NONE:
            return ""
        found = self._current(request)
        if kind is Etag.CURRENT:
            return found.etag if found is not None else ""
        return self._etags.get(found.uid, '"stale"') if found is not None else '"stale"'

    def _blobs(self, request: Request) -> list[str]:
        if not isinstance(request, CreateVersion):
            return []
        group = "/".join(parent(request.parent).split("/")[:4])
        return self.service.blobs(group, place(request.location) or "eastus")
