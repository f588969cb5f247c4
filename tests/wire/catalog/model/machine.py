"""Random sequences of calls and events, each step compared with the model."""

import functools
from datetime import timedelta

import grpc
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from stoa.catalog.v1 import image_version_pb2

from tests.wire.catalog.model import comparing, deletion, progress, resolving, sending
from tests.wire.catalog.model.conversation import Conversation
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Definition, Version
from tests.wire.catalog.model.service import settled


def _has_galleries(machine: Conversation) -> bool:
    return bool(machine.model.state.galleries)


def _has_definitions(machine: Conversation) -> bool:
    return any(machine.model.state.definitions())


def _has_versions(machine: Conversation) -> bool:
    return any(machine.model.state.versions())


def _has_pending(machine: Conversation) -> bool:
    return any(machine.model.state.unfinished())


def _has_kept(machine: Conversation) -> bool:
    return any(one.soft_deleted for one in machine.model.state.versions())


class CatalogMachine(Conversation):
    """What may happen next."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        for what in ("create_gallery", "create_definition", "create_version"):
            self.perform(data, self.draw(data, what, careful=True))

    @rule(data=st.data())
    def create_gallery(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "create_gallery"))

    @precondition(_has_galleries)
    @rule(data=st.data())
    def update_gallery(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "update_gallery"))

    @precondition(_has_galleries)
    @rule(data=st.data())
    def create_definition(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "create_definition"))

    @precondition(_has_definitions)
    @rule(data=st.data())
    def update_definition(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "update_definition"))

    @precondition(_has_definitions)
    @rule(data=st.data())
    def create_version(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "create_version"))

    @precondition(_has_definitions)
    @rule(data=st.data())
    def create_another_version(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "create_version"))

    @precondition(_has_versions)
    @rule(data=st.data())
    def update_version(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "update_version"))

    @precondition(_has_versions)
    @rule(data=st.data())
    def add_regions(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "add_regions"))

    @precondition(_has_versions)
    @rule(data=st.data())
    def remove_regions(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "remove_regions"))

    @precondition(_has_versions)
    @rule(data=st.data())
    def set_counts(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "set_counts"))

    @precondition(_has_versions)
    @rule(data=st.data())
    def delete_version(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "delete_version"))

    @precondition(_has_kept)
    @rule(data=st.data())
    def undelete(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "undelete"))

    @rule(data=st.data())
    def delete_parent(self, data: st.DataObject) -> None:
        self.perform(data, self.draw(data, "delete_parent"))

    @precondition(_has_versions)
    @rule(data=st.data())
    def replication_tells(self, data: st.DataObject) -> None:
        self._tell(data)

    @precondition(_has_versions)
    @rule(data=st.data())
    def replication_tells_more(self, data: st.DataObject) -> None:
        self._tell(data)
        self._tell(data)

    @precondition(_has_versions)
    @rule(data=st.data())
    def hold_deletion(self, data: st.DataObject) -> None:
        versions = [one for one in self.model.state.versions() if not one.deleting]
        if versions:
            self.hold(data.draw(st.sampled_from(versions)))

    @rule()
    def release_deletions(self) -> None:
        self.count()
        self.release()

    @precondition(_has_pending)
    @rule(data=st.data())
    def cancel_operation(self, data: st.DataObject) -> None:
        self.count()
        operation = data.draw(st.sampled_from([*self.model.state.unfinished()]))
        version = self.model.state.by_uid(operation.version)
        assert version is not None
        regions = progress.stop(self.model.state, version, operation)
        note(f"{operation}: {regions} stop")
        stopped = self.service.cancel(operation.name, version.name, expected=bool(regions))
        assert set(stopped) == regions, f"{stopped} instead of {regions}"
        self.check_version(version)

    @precondition(_has_kept)
    @rule(hours=st.sampled_from((1.0, 2.5, 200.0)))
    def time_passes(self, hours: float) -> None:
        self.count()
        state = self.model.state
        self.release()
        self.service.clock.advance(timedelta(hours=hours))
        for version in [one for one in state.versions() if one.soft_deleted]:
            assert version.purge is not None
            if state.now >= version.purge:
                deletion.remove(state, version)
                gone = functools.partial(self.service.lingers, version.name)
                self.agree(version.name, *settled(gone))
            else:
                self.check_version(version)
        # What ended long ago may be forgotten.
        state.operations = [one for one in state.operations if one.outcome is None]

    @precondition(_has_definitions)
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        self.count()
        request = self.draw(data, "resolve")
        expected = resolving.resolve(self.model.state, request)
        note(f"expected: {expected.faults or expected.version}")
        try:
            found = self.service.stubs.versions.ResolveImageVersion(sending.resolve(request))
        except grpc.RpcError as error:
            answer = comparing.refusal(error)
            self.agree(request, expected.faults.differs(answer))
            if expected.available is not None:
                shown = dict(answer.metadata).get("available", "")
                assert set(filter(None, shown.split(","))) == expected.available, answer
            return
        assert expected.version is not None, found
        self.agree(request, *comparing.named(expected.version.name, found.image_version))
        assert found.location == place(request.location)
        deleted = image_version_pb2.IMAGE_VERSION_STATE_SOFT_DELETED
        assert (found.state == deleted) is expected.version.soft_deleted

    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        self.count()
        kind = data.draw(st.sampled_from(("gallery", "definition", "version", "malformed")))
        name = self.draw(data, kind)
        faults = resolving.get(self.model.state, name)
        note(f"expected: {faults}")
        try:
            found = self.service.get(name)
        except grpc.RpcError as error:
            self.agree(name, faults.differs(comparing.refusal(error)))
            return
        assert not faults, f"{name} is not there: {found}"
        resource = deletion.find(self.model.state, name)
        assert resource is not None
        assert found.name == resource.name

    @precondition(_has_definitions)
    @rule(data=st.data())
    def list_versions(self, data: st.DataObject) -> None:
        self.count()
        parent = self.draw(data, "definition")
        definition = self.model.state.definition(parent)
        try:
            found = [*self.service.versions(parent, page_size=1)]
        except grpc.RpcError as error:
            answer = comparing.refusal(error)
            assert (answer.code, answer.reason) == ("NOT_FOUND", "PARENT_NOT_FOUND"), answer
            assert definition is None, answer
            return
        assert definition is not None, found
        expected = resolving.listed(definition.versions.values(), deleted=False)
        self.same_names(found, expected)
        if len(expected) > 1:
            self._turn_wrong_page(definition)

    def _turn_wrong_page(self, definition: Definition) -> None:
        """A token of one list is none of another."""
        token = self.service.page(definition.name, page_size=1).next_page_token
        with pytest.raises(grpc.RpcError) as raised:
            self.service.page(definition.name, page_token=token, show_deleted=True)
        answer = comparing.refusal(raised.value)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), answer

    @rule()
    def look_at_everything(self) -> None:
        self.count()
        state = self.model.state
        for group in state.groups.values():
            names = [one.name for one in state.galleries.values()]
            below = [one for one in names if one.startswith(f"{group}/")]
            self.same_names(self.service.galleries(group), sorted(below, key=str.lower))
        for gallery in state.galleries.values():
            self.check(gallery)
            names = [one.name for one in gallery.definitions.values()]
            found = self.service.definitions(gallery.name)
            self.same_names(found, sorted(names, key=str.lower))
        for definition in state.definitions():
            self.check(definition)
            self._check_lists(definition)
        for version in state.versions():
            self.check_version(version)
        everywhere = f"{state.subscription}/resourceGroups/-/galleries/-/images/-"
        all_names = {one.name for one in self.service.versions(everywhere, show_deleted=True)}
        assert all_names == {one.name for one in state.versions()}

    def _check_lists(self, definition: Definition) -> None:
        versions = [*definition.versions.values()]
        for deleted in (False, True):
            expected = resolving.listed(versions, deleted=deleted)
            for size in (0, 2):
                found = self.service.versions(definition.name, show_deleted=deleted, page_size=size)
                self.same_names(found, expected)
            backwards = self.service.versions(
                definition.name, show_deleted=deleted, page_size=1, order_by="name desc"
            )
            self.same_names(backwards, expected[::-1])
        if any(one.deleting for one in versions):
            # What one that is going shows of its target regions is left open.
            return
        for text, chosen in resolving.FILTERS.items():
            found = self.service.versions(definition.name, filter=text)
            kept = [one for one in versions if chosen(one)]
            self.same_names(found, resolving.listed(kept, deleted=False))

    def _tell(self, data: st.DataObject) -> None:
        self.count()
        versions = [one for one in self.model.state.versions() if not one.deleting and one.rows]
        if not versions:
            return
        version: Version = data.draw(st.sampled_from(versions))
        event = self.draw(data, "event", version, self.service.generations(version))
        if event is None:
            return
        wanted = version.wishes[event.generation].get(event.location, 0)
        for _ in range(data.draw(st.sampled_from((1, 1, 2)))):
            self.model.tell(event)
            self.service.tell(event, wanted)
        self.check_version(version)
