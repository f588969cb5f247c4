"""AuthorizationService: where somebody may do something."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from stoa.authz.v1 import access_pb2 as pb

from services.authz.convert.questions import PLANES, attributes, context_of
from services.authz.servicers.pinning import Pin, pinned
from services.authz.servicers.questioning import Questioning, known_action, known_scope, subject_of
from services.authz.usecases.spelling import Spelling
from services.kernel.names import ROOT
from services.kernel.paging import page_size
from services.kernel.rpc.call import Call
from services.policy.accessible_scopes import AccessibleScopes, Effect, Entry
from services.policy.accessible_views import AccessibleViews, view_kind
from services.policy.conditions import NO_ATTRIBUTES, Attributes
from services.policy.decision import Question
from services.policy.index import PolicyIndex
from services.policy.model import Plane, SharingGrant
from services.policy.scopes import Scope, View, ViewKind

_DEFAULT: Final = 1000
_MOST: Final = 10_000
_EFFECTS: Final = {
    Effect.ALLOWED: pb.AccessibleScope.EFFECT_ALLOWED,
    Effect.DENIED: pb.AccessibleScope.EFFECT_DENIED,
    Effect.DENIED_HERE: pb.AccessibleScope.EFFECT_DENIED_HERE,
}


class AccessibleLists(Questioning):
    """Lists scopes, page by page at one revision and one moment."""

    def ListAccessible(
        self, request: pb.ListAccessibleRequest, call: Call
    ) -> pb.ListAccessibleResponse:
        size = 0
        with call.violations.collect():
            size = page_size(request.page_size, default=_DEFAULT, cap=_MOST)
        pin = self._pinned(request, call)
        who = self._subject(subject_of(request), "subject", call, pin.index)
        call.violations.raise_if_any()
        under = request.parent or ROOT
        plane = PLANES[request.plane]
        self._may_ask(call, pin.index, [(who, Question(request.action, under, plane))])
        action, scope = known_action(request.action, plane), known_scope(under, "parent")
        question = _Listing(
            who,
            action,
            plane,
            scope,
            expand=request.expand_subscriptions,
            now=pin.now,
            attributes=attributes(action, context_of(request.context)) or NO_ATTRIBUTES,
        )
        after = Entry(str(pin.after[0]), Effect(pin.after[1])) if pin.after else None
        # One more than the page, to know whether there is another.
        found = list(islice(question.entries(pin.index, after), size + 1))
        page, more = found[:size], len(found) > size
        last = page[-1] if more else None
        return pb.ListAccessibleResponse(
            accessible_scopes=self._shown_scopes(pin.index, page),
            next_page_token=pin.token(last.scope, last.effect.value) if last else "",
            evaluated_at=self._at(pin.index),
        )

    def _pinned(self, request: Any, call: Call) -> Pin:
        return pinned(
            request, call, context=self._context, history=self._history, first=self._index
        )

    def _shown_scopes(self, index: PolicyIndex, page: list[Entry]) -> Iterator[pb.AccessibleScope]:
        spelling = Spelling.of(self._context.store, (one.scope for one in page))
        grants = (_grant_of(index, one.scope) for one in page)
        galleries = {grant.gallery for grant in grants if grant is not None}
        if galleries:
            names = self._context.store.read(lambda facts: facts.public_names(galleries))
            spelling = spelling.with_ids(names)
        for one in page:
            yield pb.AccessibleScope(scope=spelling(one.scope), effect=_EFFECTS[one.effect])


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a list is asked for."""

    who: str
    action: str
    plane: Plane
    under: Scope
    expand: bool
    now: datetime
    attributes: Attributes

    def entries(self, index: PolicyIndex, after: Entry | None) -> Iterator[Entry]:
        """Answer the entries of a root after one."""
        kind = view_kind(self.action)
        if kind is not None:
            views = AccessibleViews(
                index,
                self.who,
                self.action,
                kind=kind,
                under=self.under,
                now=self.now,
                attributes=self.attributes,
            )
            return views.entries(after)
        scopes = AccessibleScopes(
            index,
            self.who,
            self.action,
            under=self.under,
            now=self.now,
            plane=self.plane,
            expand=self.expand,
            attributes=self.attributes,
        )
        return scopes.entries(after)


def _grant_of(index: PolicyIndex, scope: str) -> SharingGrant | None:
    """Answer what a listed view shows, with any location or one."""
    parts = scope.split("/")
    if len(parts) < 6 or parts[2] != "locations":
        return None
    kind = next((one for one in ViewKind if one.value == parts[4]), None)
    consumer = index.directory.subscriptions.get("/".join(parts[:2]))
    if kind is None or consumer is None:
        return None
    found = index.sharing.resolve(View(kind, parts[5], consumer.key), consumer)
    return None if found is None else found[0]
