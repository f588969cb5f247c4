"""One run of the command: what the global options say, and what commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.errors import UsageProblem
from cli.output import Format, Output
from cli.trace import CommandTrace

if TYPE_CHECKING:
    from cli.connection import Connection
    from cli.target import Target


@dataclass(slots=True)
class Options:
    """The options that every command takes."""

    output: Format | None = None
    context: str | None = None
    token_file: str | None = None
    also_as: tuple[str, ...] = ()
    debug: bool = False
    quiet: bool = False


class Invocation:
    """What a command works with; the connection is opened when it is first needed."""

    def __init__(self, options: Options | None = None, trace: CommandTrace | None = None) -> None:
        self.options = options or Options()
        self.trace = trace or CommandTrace()
        self._target: Target | None = None
        self._connection: Connection | None = None

    @property
    def output(self) -> Output:
        """Where results go."""
        return Output(self.options.output)

    @property
    def interactive(self) -> bool:
        """Whether a person watches: progress may be drawn and questions asked on stderr."""
        return sys.stderr.isatty() and not self.options.quiet

    @property
    def target(self) -> "Target":
        """The installation to talk to."""
        if self._target is None:
            from cli.target import resolve

            self._target = resolve(
                self.options.context,
                token_file=self.options.token_file,
                also_as=self.options.also_as,
            )
        return self._target

    @property
    def connection(self) -> "Connection":
        """The channels to it."""
        if self._connection is None:
            from cli.connection import Connection

            self._connection = Connection(self.target, self.trace, debug=self.options.debug)
        return self._connection

    def subscription(self, given: str | None = None) -> str:
        """The subscription to work in: the option, else what environment or context say.

        Raises:
            UsageProblem: nobody says.
        """
        found = given or self.target.subscription
        if not found:
            raise UsageProblem(
                "Which subscription?",
                todo="Say --subscription NAME, set STOA_SUBSCRIPTION, or give the context one.",
            )
        return found.removeprefix("subscriptions/")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is lost; `yes` is the option that answers beforehand.

        Raises:
            UsageProblem: nobody is there to answer, or the answer is no.
        """
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageProblem(question, todo="Repeat with --yes to confirm.")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise UsageProblem("Nothing was done.")

    def close(self) -> None:
        """Close what was opened."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_current: ContextVar[Invocation | None] = ContextVar("stoa_invocation", default=None)


def current() -> Invocation:
    """The invocation that the running command belongs to; outside of any, one by default."""
    found = _current.get()
    if found is None:
        found = Invocation()
        _current.set(found)
    return found


@contextmanager
def entered(invocation: Invocation) -> Iterator[Invocation]:
    """Make `invocation` the current one inside the block, and close it."""
    token = _current.set(invocation)
    try:
        yield invocation
    finally:
        invocation.close()
        _current.reset(token)
