"""AuthorizationService: who may do something."""

from collections.abc import Iterator
from itertools import chain, islice

from stoa.authz.v1 import access_pb2 as pb

from services.authz.convert.questions import PLANES, attributes, context_of, reason
from services.authz.servicers.pinning import pinned
from services.authz.servicers.questioning import Questioning, known_action, known_scope
from services.authz.usecases.spelling import Spelling
from services.kernel.paging import page_size
from services.kernel.rpc.call import Call
from services.policy.conditions import NO_ATTRIBUTES
from services.policy.decision import Reason
from services.policy.subjects import Access, Sharing, Subjects


class SubjectLists(Questioning):
    """Lists subjects, page by page at one revision and one moment."""

    def ListSubjects(self, request: pb.ListSubjectsRequest, call: Call) -> pb.ListSubjectsResponse:
        size = 0
        with call.violations.collect():
            size = page_size(request.page_size)
        pin = pinned(request, call, context=self._context, history=self._history, first=self._index)
        call.violations.raise_if_any()
        scope = known_scope(request.resource, "resource")
        self._require_reading(call, request.resource)
        plane = PLANES[request.plane]
        action = known_action(request.action, plane)
        subjects = Subjects(
            pin.index,
            action,
            scope,
            now=pin.now,
            plane=plane,
            attributes=attributes(action, context_of(request.context)) or NO_ATTRIBUTES,
            expand=request.expand_groups,
        )
        after = (str(pin.after[0]), str(pin.after[1])) if pin.after else None
        # Those let in by sharing come last; they are one entry, and for a view all there is.
        sharing = subjects.sharing()
        entries: Iterator[Access | Sharing] = chain(
            subjects.entries(after), () if sharing is None else (sharing,)
        )
        found = list(islice(entries, size + 1))
        last = found[size - 1] if len(found) > size else None
        return pb.ListSubjectsResponse(
            subject_accesses=self._shown_subjects(found[:size]),
            next_page_token=pin.token(*last.place) if isinstance(last, Access) else "",
            evaluated_at=self._at(pin.index),
        )

    def _shown_subjects(self, page: list[Access | Sharing]) -> Iterator[pb.SubjectAccess]:
        keys: set[str] = set()
        for one in page:
            if isinstance(one, Access):
                keys |= {one.principal, one.held, *one.via}
            else:
                keys.add(one.subscription)
        spelling = Spelling.of(self._context.store, keys)
        for one in page:
            if isinstance(one, Sharing):
                yield pb.SubjectAccess(
                    subscription=spelling(one.subscription), reason=reason(one.reason)
                )
                continue
            held = spelling(one.held)
            yield pb.SubjectAccess(
                principal=spelling(one.principal),
                via_groups=map(spelling, one.via),
                reason=reason(Reason.ROLE_ASSIGNMENT),
                role_assignment="" if one.is_eligible else held,
                eligible_assignment=held if one.is_eligible else "",
            )
