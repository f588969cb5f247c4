"""Digests of simulated changes of sharing: signed, so that none has to be kept.

A digest says until when it holds, and signs with that the gallery, the step and the sharing that
the step was simulated on. Whatever changes that sharing makes the digest stale.
"""

import base64
import binascii
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Final

from services.authz.domain.records import SharingGrant
from services.authz.domain.sharing_steps import Step
from services.kernel.names import key

HELD_FOR: Final = timedelta(minutes=10)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 24


class SimulationDigests:
    """Makes and checks digests with a secret that all processes of the service share."""

    def __init__(self, secret: bytes) -> None:
        # A key of its own: nothing that is signed elsewhere with the secret is ever a digest.
        self._key: Final = hmac.digest(secret, b"simulation digest", "sha256")

    def make(
        self, gallery: str, step: Step, before: SharingGrant | None, *, now: datetime
    ) -> tuple[str, datetime]:
        """Answer the digest of a step on a sharing, and when it lapses."""
        lapses = now + HELD_FOR
        time = ((lapses - _EPOCH) // _MICROSECOND).to_bytes(_TIME_BYTES, "big")
        mac = self._sign(time, gallery, step, before)
        return base64.urlsafe_b64encode(time + mac).decode(), lapses

    def is_good(
        self, digest: str, gallery: str, step: Step, before: SharingGrant | None, *, now: datetime
    ) -> bool:
        """Whether a digest is one of this step on this sharing, and has not lapsed."""
        try:
            raw = base64.b64decode(digest, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        time, mac = raw[:_TIME_BYTES], raw[_TIME_BYTES:]
        if not hmac.compare_digest(mac, self._sign(time, gallery, step, before)):
            return False
        return now < _EPOCH + int.from_bytes(time, "big") * _MICROSECOND

    def _sign(self, time: bytes, gallery: str, step: Step, before: SharingGrant | None) -> bytes:
        state = "" if before is None else f"{before.gallery_uid} {before.revision}"
        signed = [
            time.hex(),
            key(gallery),
            step.operation.value,
            sorted(map(key, step.subscriptions)),
            sorted(map(key, step.tenants)),
            state,
        ]
        return hmac.digest(self._key, json.dumps(signed).encode(), "sha256")[:_MAC_BYTES]
