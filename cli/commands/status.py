"""`stoa status`: whether the services are well."""

import re
import time
from typing import Any

import typer

from cli.commands.options import Data, Services, chosen
from cli.errors import CliError, ExitCode
from cli.installation import processes
from cli.installation.layout import Layout
from cli.invocation import current
from cli.output import Column
from cli.target import Target, of_installation

app = typer.Typer()

# Seconds; the table does not wait for more than this.
_REVISION_TIMEOUT = 2.0
_ROLE = re.compile(r"--role (\S+) --index (\d+)")

_COLUMNS = (
    Column("Service", "service"),
    Column("Health", "health"),
    Column("Endpoint", "endpoint"),
    Column("Latency", lambda one: f"{one['milliseconds']:.0f} ms" if "milliseconds" in one else ""),
    Column("Pid", "pid"),
    Column("Up", lambda one: _duration(one["upSeconds"]) if "upSeconds" in one else ""),
    Column("Policy revision", "policyRevision"),
    Column("Processes", lambda one: ", ".join(p["role"] for p in one.get("processes", ()))),
)


@app.command()
def status(*, services: Services = None, data: Data = None) -> None:
    """Show health, endpoint and processes of each service; exit code 6 if one is not well."""
    from cli.installation.health import check

    target = of_installation(data.absolute()) if data is not None else current().target
    rows = []
    for service in chosen(services):
        endpoint = target.endpoint(service)
        health = check(endpoint, target.ca_file)
        row: dict[str, Any] = {"service": service, "health": health.state, "endpoint": endpoint}
        row |= _processes(target, service)
        if health.serving:
            row["milliseconds"] = round(health.milliseconds, 1)
        elif target.data is not None and "pid" not in row:
            row["health"] = "STOPPED"
        rows.append(row)
        if service == "authz" and health.serving:
            rows[-1] |= _revision(target)
    current().output.list(rows, _COLUMNS)
    unwell = [row["service"] for row in rows if row["health"] != "SERVING"]
    if unwell:
        raise CliError(
            f"Not serving: {', '.join(unwell)}",
            todo="Start them with `stoa up -d`, or read their logs.",
            code=ExitCode.UNAVAILABLE,
        )


def _revision(target: Target) -> dict[str, Any]:
    """The newest revision of the policy, where the caller is known there."""
    import grpc
    from stoa.authz.v1 import authorization_service_pb2_grpc, check_pb2

    from cli.connection import Connection

    # A question about oneself, which everybody may ask; the revision is what is wanted.
    request = check_pb2.CheckRequest(action="Microsoft.Compute/galleries/read", resource="/")
    connection = Connection(target, current().trace, debug=current().options.debug)
    try:
        stub = connection.stub("authz", authorization_service_pb2_grpc.AuthorizationServiceStub)
        decision = stub.Check(request, timeout=_REVISION_TIMEOUT).decision
    except (grpc.RpcError, CliError):
        return {}
    finally:
        connection.close()
    return {"policyRevision": decision.revision}


def _processes(target: Target, service: str) -> dict[str, Any]:
    """What runs of a service, where the installation is on this machine."""
    found = processes.find(Layout(target.data), service) if target.data is not None else None
    if found is None:
        return {}
    return {
        "pid": found.pid,
        "upSeconds": int(time.time() - found.started),
        "processes": [
            {"pid": pid, "role": _role(found.pid, pid, command)}
            for pid, command in found.processes()
        ],
    }


def _role(parent: int, pid: int, command: str) -> str:
    """A process as its command line names it: `server 0`, `workers 0`, or the parent."""
    found = _ROLE.search(command)
    if found is None:
        return "parent" if pid == parent else "other"
    return f"{found[1]} {found[2]}"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"
