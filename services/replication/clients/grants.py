"""Reads operation grants: JWS in compact form, signed by a key registered for the catalog."""

import json
from pathlib import Path
from typing import Any, Final

import jwt
from jwt import PyJWKSet
from jwt.exceptions import ExpiredSignatureError, InvalidTokenError, PyJWTError

from services.kernel.clock import Clock
from services.replication.domain.grants import (
    AUDIENCE,
    ISSUER,
    KIND,
    MAX_LIFE,
    Demand,
    Grant,
    invalid,
)

_ALGORITHM: Final = "ES256"
_LEEWAY: Final = 5
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub", "action", "version", "uid", "generation"]


class GrantReader:
    """Fulfils `ports.outside.GrantVerifier` with the keys of a JWK set file."""

    def __init__(self, keys: Path, clock: Clock) -> None:
        """Read the keys.

        Raises:
            OSError, ValueError: the file cannot be read, or has no ES256 key.
        """
        self._keys: Final = _keys(keys)
        self._clock: Final = clock

    def verify(self, token: bytes) -> Grant:
        """Answer a grant that the catalog signed.

        Raises:
            PermissionDenied: GRANT_INVALID.
        """
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError:
            raise invalid("malformed", "the operation grant is no JWS") from None
        if header.get("typ") != KIND or header.get("alg") != _ALGORITHM:
            raise invalid("malformed", "the operation grant is of another kind")
        key = self._key(header.get("kid"))
        try:
            # The time is checked below, by the clock of this service.
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
            )
        except ExpiredSignatureError:
            raise _expired() from None
        except InvalidTokenError as error:
            problem = "signature" if "ignature" in type(error).__name__ else "malformed"
            raise invalid(problem, "the operation grant is not valid") from None
        self._check_time(claims)
        return _grant(claims)

    def _key(self, kid: object) -> Any:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        key = self._keys.get(str(kid))
        if key is None:
            raise invalid("signature", "the operation grant is signed with an unknown key")
        return key

    def _check_time(self, claims: dict[str, Any]) -> None:
        issued, expires = claims["iat"], claims["exp"]
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise invalid("malformed", "the operation grant has no times")
        now = self._clock.now().timestamp()
        if expires - issued > MAX_LIFE or issued > now + _LEEWAY:
            raise invalid("malformed", "the operation grant lives too long")
        if now >= expires + _LEEWAY:
            raise _expired()


def _expired() -> Exception:
    return invalid("expired", "the operation grant has expired")


def _keys(path: Path) -> dict[str, Any]:
    found = PyJWKSet.from_dict(json.loads(path.read_text(encoding="utf-8"))).keys
    keys = {str(key.key_id): key for key in found if key.algorithm_name == _ALGORITHM}
    if not keys:
        raise ValueError(f"{path} has no ES256 key")
    return keys


def _grant(claims: dict[str, Any]) -> Grant:
    try:
        return Grant(
            subject=_text(claims, "sub"),
            action=_text(claims, "action"),
            version=_text(claims, "version"),
            uid=_text(claims, "uid"),
            generation=int(claims["generation"]),
            decision=str(claims.get("decision", "")),
            revision=int(claims.get("revision", 0)),
            sources={str(disk): str(one) for disk, one in claims.get("sources", {}).items()},
            demands=tuple(Demand(str(a), str(s)) for a, s in claims.get("demands", ())),
            others=tuple(str(one) for one in claims.get("others", ())),
        )
    except (TypeError, ValueError, AttributeError):
        raise invalid("malformed", "the operation grant has claims of another form") from None


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value
