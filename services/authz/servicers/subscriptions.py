"""DirectoryService: subscriptions."""

import uuid
from typing import Final

from stoa.authz.v1 import subscription_pb2 as pb

from services.authz.convert import directory as convert
from services.authz.domain.records import Subscription, SubscriptionState
from services.authz.ports.policy import Unit
from services.authz.servicers.asking import asked, scope_of
from services.authz.servicers.directory_part import DirectoryPart, above, named, update_of
from services.authz.usecases import directory, directory_updates
from services.authz.usecases.directory import NewSubscription
from services.authz.usecases.directory_updates import PARENT
from services.authz.usecases.holding import Holdings
from services.authz.usecases.listing import ListSpec, page_of
from services.kernel.errors import NotFound, PermissionDenied
from services.kernel.filter import Kind
from services.kernel.names import ROOT, key
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call

_READ: Final = "Stoa.Directory/subscriptions/read"
_WRITE_GROUP: Final = "Stoa.Directory/managementGroups/write"
_STATES: Final = {one.name: one.value for one in SubscriptionState}
_SPEC: Final = ListSpec(
    Subscription,
    {
        "display_name": Kind.STRING,
        "tenant": Kind.STRING,
        "parent_management_group": Kind.STRING,
        "state": frozenset(_STATES),
        "tags": Kind.MAP,
    },
    values={"state": _STATES},
)


class Subscriptions(DirectoryPart):
    """Subscriptions: created, disabled, never deleted."""

    def CreateSubscription(self, request: pb.CreateSubscriptionRequest, call: Call) -> bytes:
        message = request.subscription
        named(message, "subscription", call)
        parent = above(call, "subscription", message.parent_management_group)
        call.violations.raise_if_any()
        new = NewSubscription(
            name=f"subscriptions/{request.subscription_id or uuid.uuid4()}",
            display_name=message.display_name,
            tenant=scope_of(call),
            tags=dict(message.tags),
            parent=parent,
        )

        def create(unit: Unit, access: Access) -> pb.Subscription:
            if new.parent:
                access.require(_WRITE_GROUP, new.parent)
            return convert.subscription(directory.create_subscription(unit, new))

        return self._context.write(call, request, create, resource=new.name)

    def GetSubscription(self, request: pb.GetSubscriptionRequest, call: Call) -> pb.Subscription:
        call.violations.raise_if_any()
        name = scope_of(call)
        record = self._context.store.read(lambda facts: facts.subscription(key(name)))
        if record is None and call.access.allowed(_READ, ROOT):
            # Who may read all of them may know that it is not there.
            raise NotFound.of("stoa.dev/Subscription", name)
        if record is None or not self._sees(call, record):
            raise PermissionDenied.of(_READ, name)
        return convert.subscription(record)

    def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, call: Call
    ) -> pb.ListSubscriptionsResponse:
        holdings = self._holdings(call)
        access = call.access
        found, token = page_of(
            self._context.store,
            self._context.tokens,
            asked(call, request),
            _SPEC,
            violations=call.violations,
            visible=lambda one: holdings.reach(one) or access.allowed(_READ, one.name),
        )
        return pb.ListSubscriptionsResponse(
            subscriptions=map(convert.subscription, found), next_page_token=token
        )

    def UpdateSubscription(self, request: pb.UpdateSubscriptionRequest, call: Call) -> bytes:
        message = request.subscription
        sent = convert.sent_subscription(message)
        sent[PARENT] = above(call, "subscription", sent[PARENT])
        asked_for = update_of(call, message, request.update_mask, sent)

        def update(unit: Unit, access: Access) -> pb.Subscription:
            return convert.subscription(
                directory_updates.update_subscription(
                    unit, asked_for, access=access, violations=call.violations
                )
            )

        return self._context.write(call, request, update)

    def EnableSubscription(self, request: pb.EnableSubscriptionRequest, call: Call) -> bytes:
        return self._set_state(call, request, SubscriptionState.ENABLED)

    def DisableSubscription(self, request: pb.DisableSubscriptionRequest, call: Call) -> bytes:
        return self._set_state(call, request, SubscriptionState.DISABLED)

    def _set_state(
        self,
        call: Call,
        request: pb.EnableSubscriptionRequest | pb.DisableSubscriptionRequest,
        state: SubscriptionState,
    ) -> bytes:
        call.violations.raise_if_any()
        name = scope_of(call)

        def change(unit: Unit, _: Access) -> pb.Subscription:
            return convert.subscription(directory.set_state(unit, name, state, request.etag))

        return self._context.write(call, request, change)

    def _sees(self, call: Call, record: Subscription) -> bool:
        return self._holdings(call).reach(record) or call.access.allowed(_READ, record.name)

    def _holdings(self, call: Call) -> Holdings:
        index = self._context.current()
        principals = self._context.control.principals_of(call.caller, index)
        store = self._context.store
        now = self._context.now()
        return store.read(lambda facts: Holdings.of(facts, index, principals, now))
