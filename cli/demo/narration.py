"""Tells a story of commands and runs them."""

import contextlib
import io
import json
import os
import shlex
import sys
import time
from typing import Any, Final

from cli.app import run
from cli.errors import CliError, ExitCode


class Narrator:
    """Prints each step and each command before it runs, as it would be typed.

    Commands run in this process, through the same entry as those that are typed.
    """

    def __init__(self) -> None:
        # Long texts by the variables that are printed in their place.
        self._variables: Final[dict[str, str]] = {}
        self._began: Final = time.monotonic()
        self._steps = 0
        colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._bold, self._dim, self._plain = (
            ("\033[1m", "\033[2m", "\033[0m") if colored else ("", "", "")
        )

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self.say(f"\n{self._bold}{self._steps}. {title}{self._plain}")

    def define(self, variable: str, value: str) -> None:
        """Set a variable for the reader; from then on it is printed in place of its value."""
        self.show(f"{variable}={shlex.quote(value)}")
        self._variables[variable] = value

    def say(self, text: str, *, short: bool = True) -> None:
        """Tell something, with the variables that are set in place of their values."""
        for variable, value in self._variables.items() if short else ():
            text = text.replace(value, f"${variable}")
        sys.stdout.write(text + "\n")
        # What commands write to stderr shall come after it.
        sys.stdout.flush()

    def show(self, command: str, *, short: bool = True) -> None:
        """Print a command."""
        self.say(f"{self._dim}${self._plain} {command}", short=short)

    def run(self, *args: str, output: str = "none", code: int = 0) -> None:
        """Print and run a command; `code` is the exit code that the story tells of.

        Raises:
            CliError: it ends otherwise.
        """
        self.show(shlex.join(["stoa", *args]))
        self._call([*args, "-o", output], code)

    def json(self, *args: str) -> Any:
        """Print and run a command, and answer its result."""
        self.show(shlex.join(["stoa", *args]))
        return self.quietly(*args)

    def quietly(self, *args: str) -> Any:
        """Run a command without printing it, and answer its result."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            self._call([*args, "-o", "json"], 0)
        return json.loads(output.getvalue())

    def text(self, *args: str) -> str:
        """Run a command without printing it, and answer what it wrote."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            self._call([*args], 0)
        return output.getvalue().strip()

    def _call(self, args: list[str], expected: int) -> None:
        code = run(args)
        sys.stdout.flush()
        if code == ExitCode.INTERRUPTED != expected:
            raise KeyboardInterrupt
        if code != expected:
            told = f"`stoa {shlex.join(args)}` ended with exit code {code}"
            raise CliError(
                "The demo failed.",
                why=(told if expected == 0 else f"{told} in place of {expected}",),
            )
