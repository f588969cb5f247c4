"""Positions of the policy log, and the opaque tokens that stand for them.

A token names the installation, the epoch and the revision (authorization.md 1.1). It is
no secret and carries no right: whoever makes one up can only demand a newer policy, and
a revision that does not exist is refused.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from services.kernel.errors import InvalidArgument

REASON: Final = "CONSISTENCY_TOKEN_INVALID"
_MAX_LENGTH: Final = 256
_FORM: Final = re.compile(r"1:([!-9;-~]{1,64}):([1-9][0-9]{0,17}):(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True, order=True)
class LogPosition:
    """A revision of an epoch; the order means something within an epoch only."""

    epoch: int
    revision: int


@dataclass(frozen=True, slots=True)
class ConsistencyToken:
    """One position of the log of one installation."""

    installation: str
    position: LogPosition

    def encode(self) -> str:
        """Answer the text that clients keep: URL-safe, at most 256 characters."""
        position = self.position
        text = f"1:{self.installation}:{position.epoch}:{position.revision}"
        if _FORM.fullmatch(text) is None:
            raise ValueError(f"no token can stand for {self!r}")
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @staticmethod
    def decode(text: str) -> "ConsistencyToken":
        """Read a token.

        Raises:
            InvalidArgument: it is damaged.
        """
        try:
            if len(text) > _MAX_LENGTH:
                raise ValueError
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            found = _FORM.fullmatch(urlsafe_b64decode(padded).decode("ascii"))
        except ValueError:
            found = None
        if found is None or urlsafe_b64encode(found[0].encode()).decode().rstrip("=") != text:
            raise invalid_token("it is damaged")
        return ConsistencyToken(found[1], LogPosition(int(found[2]), int(found[3])))


def invalid_token(problem: str) -> InvalidArgument:
    """Build the one error about tokens."""
    return InvalidArgument(f"the consistency token cannot be used: {problem}", reason=REASON)
