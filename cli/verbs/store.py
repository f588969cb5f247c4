"""`stoa store`: what a region's store holds, looked at without any service."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.errors import CliError
from cli.invocation import current
from cli.output import Column, Format, human_bytes, note

app = typer.Typer(no_args_is_help=True)

# What the verifier ends with.
_SOUND, _DAMAGED = 0, 1
_COLUMNS: Final = (
    Column("Damage", "damage"),
    Column("Key", "key"),
    Column("Detail", "detail"),
    Column("Affects", "affects"),
)


@app.callback()
def store() -> None:
    """Stores of regions."""


@app.command()
def verify(
    place: Annotated[
        str, typer.Argument(metavar="PATH", help="A directory, or a URL as a region has it.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report; as -o json.")] = False,
    replica_id: Annotated[
        str, typer.Option(help="The id that the region knows it by: another store is damage.")
    ] = "",
) -> None:
    """Read everything in a store, hash it, and tell all that is damaged.

    Needs no service, no lock and no right to write: a copy on a medium that is read-only will do.
    Exit code 0: nothing is wrong; 1: something is, or this is no store.
    """
    report = _report(place, replica_id)
    output = current().output
    if as_json:
        output.text(json.dumps(report, indent=2, ensure_ascii=False))
    elif output.format in {Format.JSON, Format.JSONL}:
        output.show(report)
    elif report["findings"]:
        output.list(report["findings"], _COLUMNS)
    note(_summary(report))
    if not report["sound"]:
        raise typer.Exit(_DAMAGED)


def _report(place: str, replica_id: str) -> Any:
    """The verifier is a part of the replication service, and runs as a process of its own."""
    found = place if "://" in place else str(Path(place).absolute())
    command = [sys.executable, "-m", "services.replication.verifier", f"--replica-id={replica_id}"]
    done = subprocess.run([*command, "--", found], capture_output=True, check=False)
    if done.returncode not in {_SOUND, _DAMAGED} or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise CliError("The store cannot be verified.", why=tuple(said[-5:]))
    return json.loads(done.stdout)


def _summary(report: Any) -> str:
    counts = report["counts"]
    read = human_bytes(report["readBytes"])
    looked = (
        f"{counts.get('versionRefs', 0)} versions, {counts.get('blobRefs', 0)} blobs, "
        f"{counts.get('manifests', 0)} manifests, {counts.get('objects', 0)} objects, {read} read"
    )
    found = len(report["findings"])
    return f"{looked}: {f'{found} damaged' if found else 'nothing is wrong'}."
