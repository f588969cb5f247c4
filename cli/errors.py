"""What goes wrong in a command, and the exit code that says so to scripts."""

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of the command; part of its interface."""

    OK = 0
    GENERAL = 1
    # The command line or a value in it is wrong: nothing was tried, or the request was refused
    # for what it says.
    USAGE = 2
    NOT_FOUND = 3
    # Not signed in, or not allowed.
    DENIED = 4
    # Exists already, an etag that is stale, a state or a limit that forbids it.
    CONFLICT = 5
    # Try again later.
    UNAVAILABLE = 6
    INTERRUPTED = 130


class CliError(Exception):
    """A failure that the command explains: what, why and what to do about it."""

    def __init__(
        self,
        what: str,
        *,
        why: tuple[str, ...] = (),
        todo: str = "",
        code: ExitCode = ExitCode.GENERAL,
        debug: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.todo = todo
        self.code = code
        # Lines that only `--debug` shows.
        self.debug = debug


class UsageProblem(CliError):
    """The command line means nothing that can be done."""

    def __init__(self, what: str, *, why: tuple[str, ...] = (), todo: str = "") -> None:
        super().__init__(what, why=why, todo=todo, code=ExitCode.USAGE)
