"""Ports: free ones, and those that somebody has already."""

import contextlib
import errno
import random
import socket
from collections.abc import Mapping
from typing import Final

from cli.errors import CliError, ExitCode, UsageProblem
from cli.installation.choices import LISTENERS, Choices, ports_from

AUTO = "auto"
# Below the ports that a system gives to programs that ask for any, and to clients: one of those
# could be given away between the look at it and the start of the service.
_CANDIDATES: Final = range(20_000, 32_768)
_TAKEN: Final = {errno.EADDRINUSE, errno.EACCES}


def parse(text: str, before: Choices | None) -> dict[str, int]:
    """Read `--ports`: `auto`, a base (7400), or `catalog=8401,authz=8403`.

    With `auto` the ports that an installation has already are kept while they are free.

    Raises:
        UsageProblem: it is none of these.
    """
    if text == AUTO:
        if before is not None and not taken(before):
            return dict(before.ports)
        return _free(len(LISTENERS))
    if text.isdecimal():
        return _checked(ports_from(int(text)))
    found = dict((before or Choices()).ports)
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in LISTENERS or not number.isdecimal():
            known = ", ".join(LISTENERS)
            raise UsageProblem(
                f"{part} is no port of a listener.",
                why=(f"Listeners are: {known}",),
                todo="Say auto, a base such as 7400, or catalog=8401,replication=8402",
            )
        found[name] = int(number)
    return _checked(found)


def taken(choices: Choices) -> dict[str, int]:
    """The listeners whose port cannot be bound now."""
    return {name: port for name, port in choices.ports.items() if not _bindable(choices, port)}


def refuse_taken(choices: Choices, ports: Mapping[str, int]) -> None:
    """Refuse to start on ports that others have.

    Raises:
        CliError: there are some.
    """
    busy = {name: port for name, port in taken(choices).items() if name in ports}
    if busy:
        raise CliError(
            "Ports are in use by another program.",
            why=tuple(f"{choices.listen}:{port} ({name})" for name, port in busy.items()),
            todo="Stop it (another installation: stoa down), or take others: stoa up --ports auto",
            code=ExitCode.CONFLICT,
        )


def _checked(ports: dict[str, int]) -> dict[str, int]:
    if any(not 0 < port < 65536 for port in ports.values()):
        raise UsageProblem("A port is a number from 1 to 65535.")
    if len(set(ports.values())) < len(ports):
        raise UsageProblem("Every listener needs a port of its own.")
    return ports


def _free(count: int) -> dict[str, int]:
    # All are held at once, or the same one might be handed out twice.
    with contextlib.ExitStack() as held:
        numbers: list[int] = []
        for port in random.SystemRandom().sample(_CANDIDATES, len(_CANDIDATES)):
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                continue
            numbers.append(port)
            if len(numbers) == count:
                return dict(zip(LISTENERS, numbers, strict=True))
    raise CliError(
        "There are not enough free ports.",
        why=(f"looked at {_CANDIDATES.start} to {_CANDIDATES.stop - 1}",),
        todo="Name yours: stoa up --ports catalog=8401,replication=8402",
        code=ExitCode.CONFLICT,
    )


def _bindable(choices: Choices, port: int) -> bool:
    family = socket.AF_INET6 if ":" in choices.listen else socket.AF_INET
    try:
        with socket.create_server((choices.listen, port), family=family):
            return True
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise CliError(
            f"{choices.listen}:{port} cannot be listened on.", why=(str(error),)
        ) from error
