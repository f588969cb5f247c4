"""Signs operation grants: what a decision of the catalog allows replication to do."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.catalog.domain.desired import Desired
from services.kernel.clock import Clock

ISSUER: Final = "catalog"
AUDIENCE: Final = "replication"
KIND: Final = "stoa-grant+jwt"
LIFE: Final = 600
"""How long a grant can be presented, in seconds (DESIGN section 4)."""


class GrantSigner:
    """Signs with the key that is registered for the catalog's workload."""

    def __init__(self, key: Path, clock: Clock) -> None:
        """Read the key.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no private key on the curve P-256.
        """
        found = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
            raise ValueError(f"{key} holds no private key on the curve P-256")  # noqa: TRY004
        self._key: Final = found
        self._kid: Final = thumbprint(found.public_key())
        self._clock: Final = clock

    def sign(self, desired: Desired) -> bytes:
        """Answer a fresh grant for exactly this desired state, from its recorded decision."""
        now = int(self._clock.now().timestamp())
        authority = desired.authority
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + LIFE,
            "sub": authority.subject,
            "others": list(authority.others),
            "action": authority.action,
            "version": desired.name,
            "uid": desired.uid,
            "generation": desired.generation,
            "sources": {
                one.disk: f"{one.source.identity()}#{one.root_digest}" for one in desired.disks
            },
            "demands": [list(one) for one in authority.demands],
            "decision": authority.decision,
            "revision": authority.revision,
        }
        headers = {"kid": self._kid, "typ": KIND}
        return jwt.encode(claims, self._key, algorithm="ES256", headers=headers).encode()


def thumbprint(key: EllipticCurvePublicKey) -> str:
    """Answer the id of a key: its JWK thumbprint (RFC 7638)."""
    numbers = key.public_numbers()
    required = {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(numbers.x.to_bytes(32, "big")),
        "y": _base64url(numbers.y.to_bytes(32, "big")),
    }
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
