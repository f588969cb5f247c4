"""`stoa config`: what each service makes of its configuration."""

import re
import subprocess
import sys
from typing import Final

import typer

from cli.commands.options import Data, Services, chosen
from cli.errors import CliError, ExitCode
from cli.installation.writing import data_of
from cli.invocation import current

app = typer.Typer()

# Services print no secrets; this keeps one that slipped into a URL from the terminal all the same.
_PASSWORD: Final = re.compile(r"(://[^/:@\s]*:)[^@\s]+@")
_TIMEOUT: Final = 60.0


@app.command()
def config(*, services: Services = None, data: Data = None) -> None:
    """Check the configuration of each service and print it without secrets."""
    layout = data_of(data)
    layout.read_client()
    wrong: list[str] = []
    for name in chosen(services):
        done = subprocess.run(
            [sys.executable, "-m", f"services.{name}", "--config", layout.config, "--print-config"],
            capture_output=True,
            check=False,
            cwd=layout.data,
            text=True,
            timeout=_TIMEOUT,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            wrong += [f"{name}: {line}" for line in said[-20:] or [f"exit {done.returncode}"]]
        else:
            current().output.text(_PASSWORD.sub(r"\1***@", done.stdout.rstrip()))
    if wrong:
        raise CliError(
            "The configuration is not valid.",
            why=tuple(wrong),
            todo=f"Correct {layout.config}, or the environment.",
            code=ExitCode.USAGE,
        )
