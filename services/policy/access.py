"""What one caller may do, decided for one call: the kernel's `Access` over the policy."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from services.kernel.errors import InvalidName, NotFound, PermissionDenied
from services.kernel.names import ROOT, fold
from services.policy.accessible import Accessible, accessible, united
from services.policy.authority import PolicyAuthority, Subject
from services.policy.callers import Identity, asker, names, without_token
from services.policy.conditions import Attributes
from services.policy.consistency import LogPosition
from services.policy.decision import Decision, Question, Reason
from services.policy.directory import Directory
from services.policy.evaluation import evaluate, evaluate_all
from services.policy.fresh_head import no_answer
from services.policy.guessing import Guessing
from services.policy.index import PolicyIndex
from services.policy.scopes import Scope, View, ViewKind

_LOG = logging.getLogger(__name__)

#: The reason of a denial to whom everything is allowed, but who has no token for a tenant.
TENANT_TOKEN_MISSING: Final = "LINKED_TENANT_TOKEN_MISSING"  # noqa: S105 a reason

#: What a decision was about, and how it came out: for the span and the log of the call.
Observer = Callable[[Question, Decision], None]


def unobserved(question: Question, decision: Decision) -> None:
    """Take no note of a decision."""


class LocalAccess:
    """Decides by one root of the index, at one moment: everything here is at one revision."""

    def __init__(
        self,
        index: PolicyIndex,
        identities: tuple[Identity, ...],
        *,
        now: datetime,
        observe: Observer = unobserved,
        guessing: Guessing | None = None,
    ) -> None:
        self.index: Final = index
        self._identities: Final = identities
        self._now: Final = now
        self._observe: Final = observe
        self._guessing: Final = guessing

    @property
    def revision(self) -> int:
        """The revision at which everything here is decided."""
        return self.index.revision

    @property
    def principals(self) -> tuple[str, ...]:
        """The names of the principals that the caller is; see the kernel's `Access`."""
        return names(self._identities)

    def decide(self, action: str, scope: str, attributes: Attributes | None = None) -> Decision:
        """Decide one question; a denial is an answer, and so is that it makes no sense."""
        question = Question(action, scope, attributes=attributes)
        who = asker(self._identities, scope, self.index.directory)
        decision = evaluate(self.index, who.key, question, now=self._now)
        self._observe(question, decision)
        return decision

    def require(self, action: str, scope: str, attributes: Attributes | None = None) -> None:
        """Demand `action` at `scope`; `attributes` are what conditions may look at.

        Raises:
            PermissionDenied: not held, or `scope` does not exist.
            NotFound: `scope` is a view of what is not shared with the caller's subscription.
            ResourceExhausted: too many such views were tried.
            InvalidName: `scope` is no scope.
        """
        decision = self.decide(action, scope, attributes)
        if self._guessing is not None:
            self._guessing.tell(decision, scope)
        if not decision.allowed:
            raise denial(decision.reason, action, scope)

    def allowed(self, action: str, scope: str) -> bool:
        """Whether `require` would pass."""
        decision = self.decide(action, scope)
        if decision.invalid:
            raise denial(decision.reason, action, scope)
        return decision.allowed

    def accessible(self, action: str, under: str = ROOT) -> Accessible:
        """Answer where in subscriptions `action` is held, at or below `under`: for lists.

        Raises:
            InvalidName: `under` is no scope.
            ValueError: it lies outside subscriptions, or the action is not known.
        """
        found = {
            who: accessible(self.index, who.key, action, under=under, now=self._now)
            for who in self._identities
        }
        if len(found) == 1:
            return found[self._identities[0]]
        # In each tenant the identity asks that a question about one scope would be asked by.
        return united(one.where(partial(self._is_asker, who)) for who, one in found.items())

    def _is_asker(self, who: Identity, scope: str) -> bool:
        return asker(self._identities, scope, self.index.directory) == who

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        """Demand each (action, scope, request field) in one decision, the target first.

        Raises:
            PermissionDenied: names the first that is not held; LINKED_TENANT_TOKEN_MISSING
                where all are held, and in the tenant of one the caller proved nothing.
        """
        directory = self.index.directory
        questions = [Question(action, scope) for action, scope, _ in demands]
        items = [
            (asker(self._identities, question.scope, directory).key, question)
            for question in questions
        ]
        decision = evaluate_all(self.index, items, now=self._now)
        self._observe(questions[decision.item], decision)
        if self._guessing is not None:
            self._guessing.tell(decision, *told(decision, questions))
        if not decision.allowed:
            action, scope, _ = demands[decision.item]
            raise denial(decision.reason, action, scope)
        refuse_without_token(self._identities, questions, directory)


@dataclass(slots=True)
class RemoteAccess:
    """Asks authz, at or after a position: for a replica that is not, or may not be, there.

    Who the caller is, and in which tenant a scope lies, is read from the replica, however
    old: neither ever changes. What is decided is decided by authz alone.
    """

    authority: PolicyAuthority
    directory: Directory
    identities: tuple[Identity, ...]
    at_least: LogPosition
    token: str
    timeout: Callable[[], float]
    observe: Observer = unobserved
    guessing: Guessing | None = None

    @property
    def revision(self) -> int:
        """The revision of the newest decision; before the first, the least that it will have."""
        return self.at_least.revision

    @property
    def principals(self) -> tuple[str, ...]:
        """The names of the principals that the caller is; see the kernel's `Access`."""
        return names(self.identities)

    def require(self, action: str, scope: str) -> None:
        """Demand `action` at `scope`.

        Raises:
            PermissionDenied: not held, or `scope` does not exist.
            NotFound: `scope` is a view of what is not shared with the caller's subscription.
            ResourceExhausted: too many such views were tried.
            Unavailable: authz does not answer.
        """
        decision = self._ask((Question(action, scope),))
        if self.guessing is not None:
            self.guessing.tell(decision, scope)
        if not decision.allowed:
            raise denial(decision.reason, action, scope)

    def allowed(self, action: str, scope: str) -> bool:
        """Whether `require` would pass."""
        return self._ask((Question(action, scope),)).allowed

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        """Demand each (action, scope, request field) in one decision, the target first.

        Raises:
            PermissionDenied: names the first that is not held; LINKED_TENANT_TOKEN_MISSING
                where all are held, and in the tenant of one the caller proved nothing.
            Unavailable: authz does not answer.
        """
        questions = [Question(action, scope) for action, scope, _ in demands]
        if not questions:
            raise ValueError("a conjunction of nothing would always hold")
        decision = self._ask(questions)
        if self.guessing is not None:
            self.guessing.tell(decision, *told(decision, questions))
        if not decision.allowed:
            action, scope, _ = demands[decision.item]
            raise denial(decision.reason, action, scope)
        refuse_without_token(self.identities, questions, self.directory)

    def accessible(self, action: str, under: str = ROOT) -> Accessible:
        """Fail: a list that may be incomplete or too long is not given.

        Raises:
            Unavailable: always; lists need a replica that is fresh enough.
        """
        raise no_answer()

    def _ask(self, questions: Sequence[Question]) -> Decision:
        items: list[tuple[Subject, Question]] = []
        for item, question in enumerate(questions):
            subject = asker(self.identities, question.scope, self.directory).subject
            if subject is None:
                return Decision(False, Reason.NO_MATCHING_GRANT, self.revision, item=item)
            items.append((subject, question))
        answer = self.authority.check_all(items, self.token, self.timeout())
        self.at_least = max(self.at_least, answer.position)
        decision = Decision(
            answer.allowed, answer.reason, answer.position.revision, item=answer.item
        )
        self.observe(questions[decision.item], decision)
        return decision


def told(decision: Decision, questions: Sequence[Question]) -> tuple[str, ...]:
    """Answer the scopes about which a conjunction tells anything: all, or the first denied."""
    if decision.allowed:
        return tuple(one.scope for one in questions)
    return (questions[decision.item].scope,)


def denial(reason: Reason, action: str, scope: str) -> Exception:
    """Build what a caller is told: never why, and never more than the request said.

    On the views of a subscription in which the caller holds the action, the answer to what
    never existed, is not enabled and is not shared is one: NOT_FOUND (authorization.md 2).
    """
    if reason is Reason.MALFORMED_RESOURCE:
        return InvalidName(scope, "a scope is '/' or the name of a resource", field="scope")
    if reason in {Reason.MALFORMED_ACTION, Reason.WILDCARD_ACTION}:
        return ValueError(f"{action} is not among the known actions")
    view = Scope.parse(scope).view
    if reason is Reason.NOT_SHARED and view is not None:
        return NotFound.of(_view_type(view, scope), scope)
    return PermissionDenied.of(action, scope)


def refuse_without_token(
    identities: tuple[Identity, ...], questions: Sequence[Question], directory: Directory
) -> None:
    """Demand a token for each tenant that a conjunction reaches into.

    Only once everything is allowed: to whom it is not, the tenant of a scope is not told.

    Raises:
        PermissionDenied: LINKED_TENANT_TOKEN_MISSING, naming the first scope in whose tenant the
            caller proved nothing.
    """
    missing = without_token(identities, tuple(one.scope for one in questions), directory)
    if missing is not None:
        scope = questions[missing].scope
        tenant = directory.tenant_of(Scope.parse(scope))
        raise PermissionDenied(
            f"'{scope}' is of {tenant}, and the call brings no token of it",
            reason=TENANT_TOKEN_MISSING,
            metadata={"tenant": tenant or "", "resource": scope},
        )


def _view_type(view: View, scope: str) -> str:
    gallery = "SharedGallery" if view.kind is ViewKind.SHARED else "CommunityGallery"
    below = fold(scope).count("/images/") + fold(scope).count("/versions/")
    return f"stoa.dev/{gallery}{('', 'Image', 'ImageVersion')[min(below, 2)]}"
