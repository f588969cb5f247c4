"""Verifies bearer tokens: JWTs of pinned issuers, for this service (RFC 9068, RFC 8725)."""

import hashlib
import json
import logging
import threading
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import jwt
from jwt.exceptions import ExpiredSignatureError, InvalidAudienceError, PyJWTError

from services.kernel.clock import Clock, SystemClock
from services.kernel.errors import Unauthenticated
from services.kernel.names import id_problem
from services.kernel.rpc.access import Caller
from services.kernel.rpc.jwks import KeySource

ALGORITHMS: Final = frozenset({"ES256", "RS256", "EdDSA"})
REQUIRED: Final = ("exp", "iat", "iss", "sub", "aud")
LEEWAY: Final = 30.0
MAX_TOKEN: Final = 8 * 1024
# What makes calls fail now and then, with all else that they send: the limit of metadata is 8 KiB.
LARGE_TOKEN: Final = 4 * 1024
MAX_ID: Final = 128
MAX_EXTERNAL_SUBJECT: Final = 255
# A verified token is not verified again for this long, in seconds, and never past its end.
CACHED_FOR: Final = 60.0
CACHED_TOKENS: Final = 10_000

# A header that brings, or points to, the key that it is to be verified with.
_KEYS_IN_HEADER: Final = frozenset({"jku", "jwk", "x5u", "x5c"})
_LOG = logging.getLogger(__name__)
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are accepted: exactly this `iss`, these keys, these algorithms.

    `tenants` are those that it may speak for; None means every one. An `external` one is not
    the installation's: its subjects are no ids of the directory, and where it speaks for one
    tenant alone its tokens need no `tid`.
    """

    name: str
    keys: KeySource
    algorithms: frozenset[str] = ALGORITHMS
    tenants: frozenset[str] | None = None
    external: bool = False

    def __post_init__(self) -> None:
        if not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise ValueError(f"algorithms of {self.name} are some of {sorted(ALGORITHMS)}")
        if self.external and not self.tenants:
            raise ValueError(f"{self.name} speaks for tenants that are named")

    @property
    def only_tenant(self) -> str | None:
        """The tenant of a token that names none."""
        if self.external and self.tenants is not None and len(self.tenants) == 1:
            return next(iter(self.tenants))
        return None


class TokenVerifier:
    """Answers the caller that a token proves, for one audience."""

    def __init__(
        self, audience: str, issuers: Iterable[Issuer], *, clock: Clock | None = None
    ) -> None:
        self._audience: Final = audience
        self._issuers: Final = {issuer.name: issuer for issuer in issuers}
        self._clock: Final = clock or SystemClock()
        self._cache: Final[OrderedDict[bytes, tuple[float, Caller]]] = OrderedDict()
        self._lock: Final = threading.Lock()

    def verify(self, token: str) -> Caller:
        """Verify a token, or find it among those verified in the last minute.

        Raises:
            Unauthenticated: it proves nothing here.
            Unavailable: the keys of its issuer could not be read so far.
        """
        if len(token) > MAX_TOKEN:
            raise Unauthenticated(f"a token has at most {MAX_TOKEN} bytes")
        digest = hashlib.sha256(token.encode()).digest()
        now = self._clock.monotonic()
        known = self._cache.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        caller = self._verified(token)
        if len(token) > LARGE_TOKEN:
            _LOG.warning(
                "a token of %s has %d bytes: calls with it may be refused now and then",
                caller.claims["iss"],
                len(token),
            )
        left = caller.expires - self._clock.now().timestamp()
        self._remember(digest, now + min(CACHED_FOR, left), caller)
        return caller

    def _remember(self, digest: bytes, until: float, caller: Caller) -> None:
        with self._lock:
            self._cache[digest] = (until, caller)
            self._cache.move_to_end(digest)
            if len(self._cache) > CACHED_TOKENS:
                self._cache.popitem(last=False)

    def _verified(self, token: str) -> Caller:
        header, sent = _unverified(token)
        issuer = self._issuer(sent)
        key = issuer.keys.find(_kid(header))
        if key is None:
            raise Unauthenticated("the token is signed with an unknown key")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=sorted(issuer.algorithms),
                audience=self._audience,
                issuer=issuer.name,
                leeway=LEEWAY,
                options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
            )
        except ExpiredSignatureError:
            raise Unauthenticated("the token is expired") from None
        except InvalidAudienceError:
            raise Unauthenticated(f"the token is not for {self._audience}") from None
        except (PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("the token is not valid") from error
        return _caller(claims, issuer)

    def _issuer(self, sent: dict[str, Any]) -> Issuer:
        name = sent.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Unauthenticated("the token is of an issuer that is not accepted")
        return issuer


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims, only to choose the issuer and to refuse early."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Unauthenticated("the token is no JWT")
    header, claims = _object(parts[0]), _object(parts[1])
    if _KEYS_IN_HEADER & header.keys() or "crit" in header or "b64" in header:
        raise Unauthenticated("the token's header is not accepted")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Unauthenticated("the token is of another type")
    return header, claims


def _object(part: str) -> dict[str, Any]:
    try:
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        found = json.loads(decoded, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise Unauthenticated("the token is no JWT") from None
    if not isinstance(found, dict):
        raise Unauthenticated("the token is no JWT")
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _kid(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise Unauthenticated("the token's key id is no text")
    return kid


def _caller(claims: dict[str, Any], issuer: Issuer) -> Caller:
    subject: Any = claims["sub"]
    tenant: Any = claims.get("tid", issuer.only_tenant)
    if not _is_id(tenant) or not (_is_foreign(subject) if issuer.external else _is_id(subject)):
        raise Unauthenticated("the token's sub or tid cannot be an id")
    if issuer.tenants is not None and tenant not in issuer.tenants:
        raise Unauthenticated("the token's issuer does not speak for its tenant")
    return Caller(
        subject=subject,
        tenant=tenant,
        claims=MappingProxyType(claims),
        expires=float(claims["exp"]),
        issuer=issuer.name if issuer.external else "",
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ID and id_problem(value) is None


def _is_foreign(value: object) -> bool:
    # OpenID Connect Core 2: at most 255 ASCII characters, and each issuer has its own.
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_EXTERNAL_SUBJECT
        and value.isascii()
        and value.isprintable()
    )
