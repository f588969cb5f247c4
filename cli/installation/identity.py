"""Who may sign: the token issuer of an installation, and catalog's key for grants."""

import base64
import hashlib
import json
import time
import uuid
from typing import Any, Final

from cli.errors import CliError, ExitCode
from cli.installation.files import private_folder, write_public, write_secret
from cli.installation.layout import ClientView, Layout

# Which audience each service demands of a token.
AUDIENCES: Final = ("catalog.stoa.dev", "replication.stoa.dev", "authz.stoa.dev")
OWNER_TTL: Final = 8 * 3600
# A cached token with less than this left is made anew, in seconds.
_SPARE: Final = 600


def write_identity(layout: Layout) -> None:
    """Write the issuer's key and catalog's grant key with their public sets, where missing."""
    from cli.installation.pki import new_key_pem

    private_folder(layout.identity)
    for name in ("issuer", "grants"):
        key = layout.identity / f"{name}.key"
        if not key.exists():
            write_secret(key, new_key_pem())
        keys = layout.identity / f"{name}.jwks.json"
        if not keys.exists():
            document = {"keys": [public_jwk(key.read_bytes())]}
            write_public(keys, json.dumps(document, indent=2) + "\n")


def public_jwk(pem: bytes) -> dict[str, str]:
    """The public half of a P-256 key as a JWK; its id is the RFC 7638 thumbprint."""
    from cli.installation.pki import load_key

    numbers = load_key(pem).public_key().public_numbers()
    required = {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(numbers.x.to_bytes(32, "big")),
        "y": _base64url(numbers.y.to_bytes(32, "big")),
    }
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    kid = _base64url(hashlib.sha256(canonical.encode()).digest())
    return {**required, "use": "sig", "alg": "ES256", "kid": kid}


def make_token(
    layout: Layout,
    *,
    subject: str,
    tenant: str,
    audiences: tuple[str, ...] = AUDIENCES,
    ttl: float = OWNER_TTL,
) -> str:
    """Sign a token for `ttl` seconds as the installation's issuer.

    Raises:
        CliError: the installation has no issuer here.
    """
    import jwt

    key = layout.identity / "issuer.key"
    try:
        pem = key.read_bytes()
    except OSError as error:
        raise CliError(
            "Tokens cannot be made here.",
            why=(str(error),),
            todo="Make them where the installation's key is, or with its token issuer.",
            code=ExitCode.DENIED,
        ) from error
    now = int(time.time())
    claims = {
        "iss": layout.read_client().issuer,
        "sub": subject,
        "tid": tenant,
        "aud": list(audiences),
        "iat": now,
        "nbf": now,
        "exp": now + int(ttl),
        "jti": uuid.uuid4().hex,
    }
    headers = {"kid": public_jwk(pem)["kid"], "typ": "at+jwt"}
    return jwt.encode(claims, pem, algorithm="ES256", headers=headers)


def owner_token(layout: Layout) -> str:
    """A token of the installation's first owner, kept in a file until it is about to expire.

    Signing one takes longer than the rest of a short command.
    """
    client = layout.read_client()
    cached = layout.identity / "owner.token"
    try:
        token = cached.read_text()
        claims = _claims(token)
        if _is_of(claims, client) and claims["exp"] - time.time() > _SPARE:
            return token
    except (OSError, ValueError, KeyError):
        pass  # No token, or none of ours: make one.
    token = make_token(layout, subject=client.owner, tenant=client.tenant)
    write_secret(cached, token)
    return token


def _is_of(claims: dict[str, Any], client: ClientView) -> bool:
    return (claims["iss"], claims["sub"], claims["tid"]) == (
        client.issuer,
        client.owner,
        client.tenant,
    ) and tuple(claims["aud"]) == AUDIENCES


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1] if token.count(".") == 2 else ""
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
