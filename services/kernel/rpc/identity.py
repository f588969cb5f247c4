"""Who calls: a subject by bearer token, or a workload by its certificate."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from services.kernel.errors import Unauthenticated
from services.kernel.rpc.access import Caller
from services.kernel.rpc.tokens import TokenVerifier
from services.kernel.telemetry.trace import TraceContext

AUTHORIZATION: Final = "authorization"
# Tokens of the same caller in other tenants, each as `Bearer <token>`.
AUXILIARY: Final = "x-stoa-authorization-auxiliary"
CONSISTENCY_TOKEN: Final = "x-consistency-token"  # noqa: S105 a key of metadata
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MAX_AUXILIARY: Final = 3
MAX_CONSISTENCY_TOKEN: Final = 1024

_BEARER: Final = "bearer "
_SPIFFE_ID: Final = "peer_spiffe_id"

PeerContext = Callable[[], Mapping[str, Iterable[bytes]]]


def no_peer() -> Mapping[str, Iterable[bytes]]:
    """Answer what is known of a peer whom nobody asks about."""
    return {}


class Sent:
    """What a call's metadata says that we look at; everything else is ignored."""

    __slots__ = ("authorization", "auxiliary", "consistency_token", "traceparent", "tracestate")

    def __init__(self, metadata: Iterable[tuple[str, Any]]) -> None:
        self.authorization: list[str] = []
        self.auxiliary: list[str] = []
        self.consistency_token = ""
        self.traceparent = ""
        self.tracestate = ""
        for key, value in metadata:
            if key == AUTHORIZATION:
                self.authorization.append(value)
            elif key == TRACEPARENT:
                self.traceparent = value
            elif key == TRACESTATE:
                self.tracestate = value
            elif key == CONSISTENCY_TOKEN:
                self.consistency_token = value
            elif key == AUXILIARY:
                self.auxiliary.append(value)

    def trace_context(self) -> TraceContext | None:
        """Answer where the call's trace comes from, if it says so."""
        return TraceContext.parse(self.traceparent, self.tracestate) if self.traceparent else None


class Authenticator(Protocol):
    """Answers who calls, or refuses; `uses_peer` says whether the certificate matters."""

    @property
    def uses_peer(self) -> bool:
        """Whether `authenticate` looks at the peer."""

    def authenticate(self, sent: Sent, peer: PeerContext) -> Caller:
        """Answer the caller.

        Raises:
            Unauthenticated: nobody was proven.
            Unavailable: it cannot be decided now.
        """


class BearerAuthenticator:
    """Callers of a client listener prove themselves with tokens."""

    uses_peer: Final = False

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier: Final = verifier

    def authenticate(self, sent: Sent, peer: PeerContext) -> Caller:
        """Verify the token, and those for other tenants; the certificate means nothing here."""
        if len(sent.authorization) != 1:
            raise Unauthenticated("a call carries exactly one token: authorization: Bearer <token>")
        caller = self._verifier.verify(_token(sent.authorization[0]))
        if not sent.auxiliary:
            return caller
        if len(sent.auxiliary) > MAX_AUXILIARY:
            raise Unauthenticated(f"a call carries at most {MAX_AUXILIARY} tokens of other tenants")
        others = tuple(self._verifier.verify(_token(value)) for value in sent.auxiliary)
        return replace(caller, auxiliary=others)


class WorkloadAuthenticator:
    """Callers of an internal listener are the workloads that their certificates name.

    A token there is ignored: a service never speaks with a user's identity, it says in the
    request for whom it acts.
    """

    uses_peer: Final = True

    def __init__(self, trust_domain: str) -> None:
        self._prefix: Final = f"spiffe://{trust_domain}/svc/".encode()

    def authenticate(self, sent: Sent, peer: PeerContext) -> Caller:
        """Read the SPIFFE id of the certificate that the handshake verified."""
        found: Sequence[bytes] = tuple(peer().get(_SPIFFE_ID, ()))
        if len(found) != 1 or not found[0].startswith(self._prefix):
            raise Unauthenticated("the certificate names no workload of this installation")
        workload = found[0].removeprefix(self._prefix).decode()
        if not workload or "/" in workload:
            raise Unauthenticated("the certificate names no workload of this installation")
        return Caller(workload=workload)


def _token(value: str) -> str:
    if value[: len(_BEARER)].lower() != _BEARER:
        raise Unauthenticated("the authorization is not of the form: Bearer <token>")
    return value[len(_BEARER) :]
