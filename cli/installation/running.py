"""Starts the services of an installation, watches over them, and stops them."""

import time
from collections.abc import Callable
from typing import Final

from cli.errors import CliError, ExitCode
from cli.installation import processes
from cli.installation.choices import Choices
from cli.installation.health import check
from cli.installation.layout import SERVICES, Layout
from cli.installation.ports import refuse_taken
from cli.installation.processes import Running

# The reverse of the order in which they are stopped: who is called by others goes first.
START_ORDER: Final = tuple(reversed(SERVICES))
READY_TIMEOUT: Final = 60.0
_POLL: Final = 0.1

Tell = Callable[[str], None]


def running(layout: Layout) -> dict[str, Running]:
    """The services that run."""
    found = {service: processes.find(layout, service) for service in SERVICES}
    return {service: one for service, one in found.items() if one is not None}


def start(layout: Layout, choices: Choices, *, tell: Tell, timeout: float) -> dict[str, Running]:
    """Start what does not run and wait until each is well; a failure ends what was started.

    Raises:
        CliError: a port is taken, or a service ended, or was not well after `timeout` seconds.
    """
    found = running(layout)
    missing = [service for service in START_ORDER if service not in found]
    refuse_taken(choices, _ports(choices, missing))
    started: dict[str, Running] = {}
    try:
        # One after the other: a service that starts before those it calls would at first find
        # nobody there, and answer its own first callers that they are not available.
        for service in START_ORDER:
            if service in missing:
                started[service] = processes.spawn(layout, service)
            _wait_until_well(
                layout, started.get(service) or found[service], tell=tell, timeout=timeout
            )
    except BaseException:
        for service in SERVICES:
            if service in started:
                processes.stop(started[service])
                processes.forget(layout, service)
        raise
    return {**found, **started}


def stop(layout: Layout, *, tell: Tell) -> list[str]:
    """Stop what runs, callers before those they call; answer which services were running."""
    stopped = []
    for service in SERVICES:
        one = processes.find(layout, service)
        if one is not None:
            tell(f"stopping {service} (pid {one.pid})")
            if not processes.stop(one):
                tell(f"{service} did not end in {processes.STOP_TIMEOUT:.0f} s and was killed")
            stopped.append(service)
        processes.forget(layout, service)
    return stopped


def watch(layout: Layout, services: dict[str, Running]) -> CliError:
    """Wait until a service ends by itself, and answer what happened."""
    while True:
        for one in services.values():
            if not one.alive():
                return _ended(layout, one)
        time.sleep(0.5)


def _wait_until_well(layout: Layout, one: Running, *, tell: Tell, timeout: float) -> None:
    client = layout.read_client()
    endpoint = client.endpoints[one.service]
    began = time.monotonic()
    while True:
        if not one.alive():
            raise _ended(layout, one)
        health = check(endpoint, client.ca_file)
        took = time.monotonic() - began
        if health.serving:
            tell(f"{one.service:<12} ready on {endpoint} ({took:.1f} s)")
            return
        if took > timeout:
            raise _not_well(layout, one, f"{health.state} {health.detail}".strip())
        time.sleep(_POLL)


def _ended(layout: Layout, one: Running) -> CliError:
    code = processes.exit_code(one)
    spoken = f" with exit code {code}" if code is not None else ""
    return CliError(
        f"The {one.service} service ended{spoken}.",
        why=tuple(processes.output_since_start(layout, one)) or ("it said nothing",),
        todo=f"Its log is {layout.log(one.service)}",
    )


def _not_well(layout: Layout, one: Running, state: str) -> CliError:
    return CliError(
        f"The {one.service} service was not ready in time.",
        why=(f"health: {state}", *processes.output_since_start(layout, one)),
        todo=f"Its log is {layout.log(one.service)}; give it more time with --timeout.",
        code=ExitCode.UNAVAILABLE,
    )


def _ports(choices: Choices, services: list[str]) -> dict[str, int]:
    return {
        name: port for name, port in choices.ports.items() if name.partition("-")[0] in services
    }
