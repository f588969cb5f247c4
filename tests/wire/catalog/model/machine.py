"""Random sequences of calls and events, each step compared with the model."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import grpc
from google.protobuf import empty_pb2
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from stoa.catalog.v1 import (
    gallery_service_pb2,
    image_definition_service_pb2,
    image_version_pb2,
)

from tests.wire.catalog.model import comparing, resolving, sending
from tests.wire.catalog.model.drawing import drawn
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Definition, Gallery, Operation, Version
from tests.wire.catalog.model.requests import CreateVersion, Delete
from tests.wire.catalog.model.rules import Model, Outcome, Request
from tests.wire.catalog.model.service import Service, settled
from tests.wire.catalog.model.state import parent
from tests.wire.catalog.model.words import Etag, Wait


class CatalogMachine(RuleBasedStateMachine):
    """One run: a subscription of its own in a catalog that many runs share."""

    service: ClassVar[Service]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        subscription = self.service.subscription()
        self.model = Model(subscription)
        for _ in range(2):
            group = self.service.group(subscription)
            self.model.state.groups[group.lower()] = group
        # Etags that were current once, by the uid of the resource.
        self._etags: dict[str, str] = {}

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "create_gallery"))
        self._perform(data, self._draw(data, "create_definition"))
        self._perform(data, self._draw(data, "create_version"))

    @rule(data=st.data())
    def create_gallery(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "create_gallery"))

    @rule(data=st.data())
    def update_gallery(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "update_gallery"))

    @rule(data=st.data())
    def create_definition(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "create_definition"))

    @rule(data=st.data())
    def update_definition(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "update_definition"))

    @rule(data=st.data())
    def create_version(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "create_version"))

    @rule(data=st.data())
    def create_another_version(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "create_version"))

    @rule(data=st.data())
    def update_version(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "update_version"))

    @rule(data=st.data())
    def add_regions(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "add_regions"))

    @rule(data=st.data())
    def remove_regions(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "remove_regions"))

    @rule(data=st.data())
    def set_counts(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "set_counts"))

    @rule(data=st.data())
    def undelete(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "undelete"))

    @rule(data=st.data())
    def delete_version(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "delete_version"))

    @rule(data=st.data())
    def delete_parent(self, data: st.DataObject) -> None:
        self._perform(data, self._draw(data, "delete_parent"))

    def _has_versions(self) -> bool:
        return any(self.model.state.versions())

    @precondition(_has_versions)
    @rule(data=st.data())
    def replication_tells(self, data: st.DataObject) -> None:
        self._tell(data)

    @precondition(_has_versions)
    @rule(data=st.data())
    def replication_tells_more(self, data: st.DataObject) -> None:
        self._tell(data)
        self._tell(data)

    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        self._count()
        request = self._draw(data, "resolve")
        expected = resolving.resolve(self.model.state, request)
        note(f"expected: {expected.faults or expected.version}")
        try:
            found = self.service.stubs.versions.ResolveImageVersion(sending.resolve(request))
        except grpc.RpcError as error:
            answer = comparing.refusal(error)
            self._agree(request, expected.faults.differs(answer))
            if expected.available is not None:
                shown = dict(answer.metadata).get("available", "")
                assert set(filter(None, shown.split(","))) == expected.available, answer
            return
        assert expected.version is not None, found
        self._agree(request, *comparing.named(expected.version.name, found.image_version))
        assert found.location == place(request.location)
        deleted = image_version_pb2.IMAGE_VERSION_STATE_SOFT_DELETED
        assert (found.state == deleted) is expected.version.soft_deleted

    @rule()
    def look_at_everything(self) -> None:
        self._count()
        state = self.model.state
        for group in state.groups.values():
            page = self.service.stubs.galleries.ListGalleries(
                gallery_service_pb2.ListGalleriesRequest(parent=group)
            )
            below = [one for one in state.galleries.values() if one.name.startswith(f"{group}/")]
            self._listed(page.galleries, below)
        for gallery in state.galleries.values():
            self._check_now(gallery)
            listed = self.service.stubs.definitions.ListImageDefinitions(
                image_definition_service_pb2.ListImageDefinitionsRequest(parent=gallery.name)
            )
            self._listed(listed.image_definitions, list(gallery.definitions.values()))
        for definition in state.definitions():
            self._check_now(definition)
            self._check_lists(definition)
        for version in state.versions():
            self._check_version(version)

    def _check_lists(self, definition: Definition) -> None:
        versions = definition.versions.values()
        for deleted in (False, True):
            for size in (0, 2):
                found = self.service.versions(definition.name, show_deleted=deleted, page_size=size)
                self._same_names(found, resolving.listed(versions, deleted=deleted))

    def _listed(self, found: Any, expected: Sequence[Gallery | Definition]) -> None:
        self._same_names(found, sorted((one.name for one in expected), key=str.lower))

    def _same_names(self, found: Iterable[Any], names: Sequence[str]) -> None:
        shown = [one.name for one in found]
        assert [one.lower() for one in shown] == [one.lower() for one in names]
        for one, name in zip(shown, names, strict=True):
            self._agree(name, *comparing.named(name, one))

    def _draw(self, data: st.DataObject, what: str, *about: Any) -> Any:
        return data.draw(drawn(self.model.state, what, *about))

    def _count(self) -> None:
        type(self).steps += 1

    def _perform(self, data: st.DataObject, request: Request) -> None:
        """Send a request, with a request id now and then, and compare what comes back."""
        self._count()
        message = sending.message(request, etag=self._etag(request), blobs=self._blobs(request))
        if data.draw(st.integers(0, 5)) == 5:
            message.request_id = str(uuid.uuid4())
        before = self._current(request)
        faults = self.model.check(request)
        note(f"expected: {faults}")
        try:
            reply = sending.call(self.service.stubs, request)(message)
        except grpc.RpcError as error:
            answer = comparing.refusal(error)
            self._agree(request, faults.differs(answer))
            return
        assert not faults, f"{request} must be refused: {faults}"
        outcome = self.model.perform(request)
        if message.request_id and not request.validate_only:
            again = sending.call(self.service.stubs, request)(message)
            assert again == reply, "repeated with its request id, it answered something else"
        if before is not None and not request.validate_only:
            self._etags[before.uid] = before.etag
        self._accepted(request, outcome, reply)

    def _accepted(self, request: Request, outcome: Outcome, reply: Any) -> None:
        resource = outcome.resource
        if isinstance(request, Delete):
            self._deleted(request, outcome, reply)
        elif isinstance(resource, Version):
            assert outcome.operation is not None
            self._changed(request, resource, outcome.operation, reply)
        else:
            self._agree(request, *self._differences(resource, reply))
            if not request.validate_only:
                self._check_now(resource)

    def _changed(
        self, request: Request, version: Version, operation: Operation, reply: Any
    ) -> None:
        if request.validate_only:
            assert reply.done
            assert not reply.name
            found = image_version_pb2.ImageVersion()
            assert reply.response.Unpack(found)
            self._agree(request, *comparing.named(version.name, found.name))
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
        self._check_version(version)

    def _deleted(self, request: Delete, outcome: Outcome, reply: Any) -> None:
        if request.validate_only:
            assert reply.done
            assert not reply.name
            return
        done = self.service.wait(reply.name)
        assert done.done, done
        assert done.response.Is(empty_pb2.Empty.DESCRIPTOR), done
        resource = outcome.resource
        if isinstance(resource, Version) and self.model.state.by_uid(resource.uid):
            self._check_version(resource)
        else:
            self._check_gone(resource.name)

    def _check_gone(self, name: str) -> None:
        try:
            found = self.service.get(name)
        except grpc.RpcError as error:
            answer = comparing.refusal(error)
            expected = "VERSION_DELETED" if name.count("/") == 9 else "RESOURCE_NOT_FOUND"
            assert (answer.code, answer.reason) == ("NOT_FOUND", expected)
            return
        raise AssertionError(f"deleted, and still there: {found}")

    def _tell(self, data: st.DataObject) -> None:
        self._count()
        version = data.draw(st.sampled_from([*self.model.state.versions()]))
        self.service.replication.await_ensured(version.uid, version.generation)
        ensured = [
            one.desired.generation
            for one in self.service.replication.ensured
            if one.desired.image_version_uid == version.uid
        ]
        if not version.rows:
            return
        event = self._draw(data, "event", version, sorted(set(ensured)))
        if event is None:
            return
        wanted = version.wishes[event.generation].get(event.location, 0)
        self.model.tell(event)
        self.service.tell(event, wanted)
        self._check_version(version)

    def _check_now(self, resource: Gallery | Definition) -> None:
        found = self.service.get(resource.name)
        self._agree(resource.name, *self._differences(resource, found))

    def _check_version(self, version: Version) -> None:
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

        self._agree(version.name, *settled(look))

    def _differences(self, resource: Gallery | Definition | Version, found: Any) -> list[str]:
        if isinstance(resource, Gallery):
            return list(comparing.gallery(resource, found))
        if isinstance(resource, Definition):
            return list(comparing.definition(resource, found))
        return list(comparing.version(resource, self.model.state.definition_of(resource), found))

    def _agree(self, about: object, *differences: str) -> None:
        found = [one for one in differences if one]
        assert not found, f"{about}:\n  " + "\n  ".join(found)

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
