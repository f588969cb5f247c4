"""The command tree, and how a run of it ends."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cli import verbs
from cli.errors import CliError, ExitCode, UsageProblem
from cli.invocation import Invocation, entered
from cli.lazy import Entry, LazyGroup

if TYPE_CHECKING:
    from typer._click.exceptions import ClickException

_INSTALLATION: Final = "This machine"
_CLIENT: Final = "This command"

COMMANDS: Final = {
    "up": Entry("cli.commands.up", "Start the three services here.", _INSTALLATION),
    "down": Entry("cli.commands.down", "Stop what `up` started.", _INSTALLATION),
    "status": Entry("cli.commands.status", "Show whether the services are well.", _INSTALLATION),
    "worker": Entry("cli.commands.worker", "Copy images beside the services.", _INSTALLATION),
    "init": Entry(
        "cli.commands.init", "Write keys and configuration without starting.", _INSTALLATION
    ),
    "config": Entry(
        "cli.commands.config", "Print the configuration of each service.", _INSTALLATION
    ),
    "token": Entry("cli.commands.token", "Print a token for the services.", _INSTALLATION),
    **verbs.COMMANDS,
    "context": Entry("cli.commands.context", "Choose the installation to talk to.", _CLIENT),
    "login": Entry("cli.commands.login", "Sign in to the installation of a context.", _CLIENT),
    "logout": Entry("cli.commands.logout", "Forget a sign-in.", _CLIENT),
    "version": Entry("cli.commands.version", "Show the versions of command and services.", _CLIENT),
}


def root() -> LazyGroup:
    """Build the tree; nothing but names and help is loaded."""
    return LazyGroup(
        name="stoa",
        entries=COMMANDS,
        help="An open, self-hosted compute gallery: publish, replicate, share and pull "
        "virtual machine images.\n\n`stoa --version` prints the version. Exit codes: 0 success, "
        "1 failure, 2 wrong usage or values, 3 not found, 4 not allowed, 5 conflict, "
        "6 unavailable, 130 interrupted.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(args: Sequence[str]) -> int:
    """Run a command line; answer its exit code."""
    from typer._click.exceptions import ClickException
    from typer.exceptions import Abort

    invocation = Invocation()
    failed: CliError | None = None
    with entered(invocation):
        try:
            code = root().main(list(args), prog_name="stoa", standalone_mode=False)
            sys.stdout.flush()
        except ClickException as error:
            code = _usage(error)
        except CliError as error:
            failed, code = error, int(error.code)
        except (KeyboardInterrupt, Abort):
            code = int(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has seen enough; the interpreter must not flush it again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = int(ExitCode.OK)
        except Exception as error:  # noqa: BLE001 the last place where it can be explained
            failed = _unexpected(error, invocation)
            code = int(failed.code)
    if failed is not None:
        show(failed, debug=invocation.options.debug, trace_id=invocation.trace.trace_id)
    invocation.trace.end("stoa " + " ".join(_words(args)), failed=code not in {None, 0})
    return code if isinstance(code, int) else int(ExitCode.OK)


def show(error: CliError, *, debug: bool = False, trace_id: str = "") -> None:
    """Write what went wrong, why, and what to do."""
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    red, plain = ("\033[1;31m", "\033[0m") if colored else ("", "")
    lines = [f"{red}error:{plain} {error.what}"]
    lines += [f"  why: {line}" for line in error.why]
    if error.todo:
        lines.append(f"  do:  {error.todo}")
    if debug:
        ids = [f"trace id: {trace_id}"] if trace_id else []
        lines += [f"  {line}" for line in dict.fromkeys([*ids, *error.debug])]
    sys.stderr.write("\n".join(lines) + "\n")


def _unexpected(error: Exception, invocation: Invocation) -> CliError:
    # grpc is only imported where a call was made, and only then can this be its error.
    grpc = sys.modules.get("grpc")
    if grpc is not None and isinstance(error, grpc.RpcError):
        from cli.statuses import failure

        return failure(error)
    if invocation.options.debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError):
        return CliError(str(error))
    return CliError(
        f"Something unexpected happened: {type(error).__name__}: {error}",
        todo="Repeat with --debug to see where, and report it.",
    )


def _usage(error: "ClickException") -> int:
    from typer._click.exceptions import NoArgsIsHelpError

    if isinstance(error, NoArgsIsHelpError):
        sys.stdout.write(error.format_message() + "\n")
        return int(ExitCode.OK)
    context = getattr(error, "ctx", None)
    todo = f"See {context.command_path} --help" if context is not None else ""
    show(UsageProblem(error.format_message(), todo=todo))
    return int(ExitCode.USAGE)


def _words(args: Sequence[str]) -> list[str]:
    """The words that name the command; values of options are nobody else's business."""
    words: list[str] = []
    for arg in args:
        if arg.startswith("-"):
            break
        words.append(arg)
    return words[:2]
