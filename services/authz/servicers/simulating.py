"""AuthorizationService: what writes to the policy would change."""

from collections.abc import Iterable
from typing import Final

from stoa.authz.v1 import simulation_pb2 as pb

from services.authz.convert.questions import PLANES
from services.authz.convert.simulation import finding
from services.authz.convert.times import timestamp
from services.authz.servicers.questioning import (
    Questioning,
    known_action,
    known_scope,
    subject_of,
)
from services.authz.servicers.simulator import Simulated, Simulator
from services.authz.usecases.assertions import (
    Assertion,
    NoNewAccess,
    NoPublicAccess,
    NotGranted,
    against,
)
from services.authz.usecases.spelling import Spelling
from services.kernel.errors import OutOfRange
from services.kernel.rpc.call import Call
from services.policy.difference import differences
from services.policy.findings import Finding
from services.policy.index import PolicyIndex

_SHOWN: Final = 1000
_SHOWN_AGAINST: Final = 20


class Simulations(Questioning):
    """Simulates writes on the newest policy, which is the only one that they can be done on."""

    _simulator: Simulator

    def SimulateChange(
        self, request: pb.SimulateChangeRequest, call: Call
    ) -> pb.SimulateChangeResponse:
        call.violations.raise_if_any()
        index = self._index(request.consistency)
        assertions = [
            self._assertion(one, f"assertions[{position}]", call, index)
            for position, one in enumerate(request.assertions)
        ]
        call.violations.raise_if_any()
        done = self._simulator.simulate(request, call)
        exact = request.consistency.WhichOneof("requirement") == "at_exact_snapshot"
        if exact and done.roots[0].revision != index.revision:
            raise OutOfRange(
                "what would be written is simulated on the newest policy alone",
                reason="SNAPSHOT_EXPIRED",
                metadata={"oldest": self._at(done.roots[0])},
            )
        found = differences(done.roots, done.steps, now=done.now)
        against_each = [list(against(one, found, done.roots[-1])) for one in assertions]
        spelling = self._spelling(found, done)
        response = pb.SimulateChangeResponse(
            assertion_results=[
                pb.AssertionResult(
                    holds=not those,
                    findings=[finding(one, spelling) for one in those[:_SHOWN_AGAINST]],
                )
                for those in against_each
            ],
            findings=[finding(one, spelling) for one in found[:_SHOWN]],
            findings_truncated=len(found) > _SHOWN,
            evaluated_at=self._at(done.roots[0]),
        )
        if done.digest is not None:
            response.digest, lapses = done.digest
            response.digest_expire_time.CopyFrom(timestamp(lapses))
        return response

    def _assertion(
        self, asked: pb.AccessAssertion, field: str, call: Call, index: PolicyIndex
    ) -> Assertion:
        match asked.WhichOneof("assertion"):
            case "no_new_access":
                return NoNewAccess()
            case "no_public_access":
                return NoPublicAccess()
            case _:
                return self._not_granted(
                    asked.access_not_granted, f"{field}.access_not_granted", call, index
                )

    def _not_granted(
        self, asked: pb.AccessNotGranted, field: str, call: Call, index: PolicyIndex
    ) -> NotGranted:
        plane = PLANES[asked.plane]
        subject = None
        if asked.HasField("subject"):
            subject = self._subject(subject_of(asked), f"{field}.subject", call, index)
        return NotGranted(
            tuple(
                known_action(action, plane, f"{field}.actions[{position}]")
                for position, action in enumerate(asked.actions)
            ),
            known_scope(asked.resource, f"{field}.resource"),
            plane,
            subject,
        )

    def _spelling(self, found: Iterable[Finding], done: Simulated) -> Spelling:
        keys = {one.scope for one in found}
        keys |= {one.who for one in found if one.who}
        return Spelling.of(self._context.store, keys, done.spelled)
