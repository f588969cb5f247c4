"""Stores whose objects clients can read by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class SigningStore(Protocol):
    """A store that hands out URLs; directories do not."""

    def sign(self, keys: Sequence[str], *, seconds: int) -> Sequence[str]:
        """Return, for each key, a URL at which the object can be read for `seconds`.

        Whether the objects exist is not looked at. StoreAccessDenied where nothing can be signed.
        """
