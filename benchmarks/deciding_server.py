"""A server process of an installation's catalog that decides calls in one way or another.

    python -m benchmarks.deciding_server HOW --config FILE --role server --index NUMBER

It is the catalog as it is, but for what decides a read. HOW is one of:

remembered  as it is: by the replica, which remembers what it decided at its revision
anew        by the replica, every time from the start
nothing     nothing is decided; who calls is known all the same, from the token
remote      authz is asked, as by a replica that is too old
"""

import sys
from typing import Any

from services.catalog.bootstrap.program import program
from services.kernel.program import main
from services.kernel.rpc.call import _Granted
from services.policy.access_control import PolicyAccessControl
from services.policy.consistency import LogPosition
from services.policy.index import PolicyIndex


def nothing(control: PolicyAccessControl, *_: Any) -> _Granted:
    return _Granted(control.revision)


def remote(
    control: PolicyAccessControl, caller: Any, deadline: float, _: Any, token: str
) -> object:
    index = control.index
    return control._remote(caller, LogPosition(index.epoch, index.revision), token, deadline)


WAYS: dict[str, tuple[type, str, Any]] = {
    "remembered": (PolicyIndex, "remember", PolicyIndex.remember),
    "anew": (PolicyIndex, "remember", lambda *_: None),
    "nothing": (PolicyAccessControl, "begin", nothing),
    "remote": (PolicyAccessControl, "_for_reading", remote),
}

if __name__ == "__main__":
    changed, name, function = WAYS[sys.argv.pop(1)]
    setattr(changed, name, function)
    sys.exit(main("services.catalog", program))
