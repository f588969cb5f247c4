"""How long to wait before trying again."""

import random
from typing import Final

# Its own source: the state of the shared one belongs to the program that this runs in.
_SPREAD: Final = random.SystemRandom()


def backoff(attempt: int, *, base: float, cap: float) -> float:
    """Answer the seconds to wait after the failed attempt number `attempt` (from 1).

    Between half and all of `base * 2 ** (attempt - 1)`, at most `cap`: growing, so that a
    dependency that is down is left alone, and spread, so that callers do not come back
    all at once.
    """
    # The exponent is bounded, since 2.0 ** 1024 is an error rather than a long wait.
    ceiling = min(cap, base * 2.0 ** min(attempt - 1, 62))
    return ceiling * _SPREAD.uniform(0.5, 1.0)
