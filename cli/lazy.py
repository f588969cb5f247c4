"""Command groups whose modules are imported when one of their commands runs."""

import importlib
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from cli.invocation import current
from cli.output import Format

_PANEL: Final = "Every command"


@dataclass(frozen=True, slots=True)
class Entry:
    """A command or group by where it is: a module with `app`, a Typer."""

    module: str
    help: str
    panel: str


class ListCommand(TyperCommand):
    """A command whose repeatable options also take several values at once, as az has them.

    `--target-regions eastus=2 westus` is `--target-regions eastus=2 --target-regions westus`.
    For commands without positional arguments: every value up to the next option belongs to it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write the option before each of its values, then parse."""
        names = {
            name
            for param in self.params
            if isinstance(param, TyperOption) and param.multiple
            for name in param.opts
        }
        spread: list[str] = []
        option = ""
        for i, arg in enumerate(args):
            if arg == "--":
                spread += args[i:]
                break
            if arg.startswith("-") and arg != "-":
                option = arg if arg in names else ""
                if not option:
                    spread.append(arg)
                elif i + 1 == len(args) or args[i + 1].startswith("-"):
                    spread.append(arg)  # Without a value: the parser says so.
            elif option:
                spread += [option, arg]
            else:
                spread.append(arg)
        return super().parse_args(ctx, spread)


class LazyGroup(TyperGroup):
    """Knows names and help of its commands; the rest of a command comes with its module."""

    entries: dict[str, Entry]

    def __init__(self, *, entries: dict[str, Entry], **attrs: Any) -> None:
        self.entries = entries
        commands: dict[str, Any] = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel)
            for name, entry in entries.items()
        }
        super().__init__(commands=commands, **attrs)
        self.params += _global_options(completion=True)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that `args` begin with, and import it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        return name, self.load(name), rest

    def load(self, name: str) -> Any:
        """Import a command."""
        entry = self.entries[name]
        loaded: Any = get_command(importlib.import_module(entry.module).app)
        loaded.name = name
        _take_global_options(loaded)
        return loaded


def _take_global_options(command: Any) -> None:
    if isinstance(command, TyperGroup):
        for one in command.commands.values():
            _take_global_options(one)
    else:
        command.params += _global_options()
        for param in command.params:
            if getattr(param, "help", None):
                # Rich takes "[default: ...]" for markup, and leaves it out.
                param.help = param.help.replace("[", r"\[")


def _global_options(*, completion: bool = False) -> list[Any]:
    """The options; with `completion`, those that install it in a shell as well."""
    app = typer.Typer(add_completion=completion)
    app.command()(_every_command)
    params: list[Any] = get_command(app).params
    for param in params:
        param.expose_value = False
    return params


# A Typer callback is called for each place where the option may stand, so only what was given
# counts.
def _set_output(value: Format | None) -> None:
    if value is not None:
        current().options.output = value


def _set_context(value: str | None) -> None:
    if value is not None:
        current().options.context = value


def _set_token_file(value: str | None) -> None:
    if value is not None:
        current().options.token_file = value


def _set_also_as(value: list[str] | None) -> None:
    if value:
        current().options.also_as = tuple(value)


def _set_debug(value: bool) -> None:  # noqa: FBT001 the form of a callback
    current().options.debug |= value


def _set_quiet(value: bool) -> None:  # noqa: FBT001 the form of a callback
    current().options.quiet |= value


def _every_command(
    output: Annotated[
        Format | None,
        typer.Option(
            "--output",
            "-o",
            help="Format of the result. [default: table on a terminal, else json]",
            callback=_set_output,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context",
            help="The installation to talk to; see `stoa context`.",
            callback=_set_context,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            "--token-file",
            help="Call as whom the token in this file says.",
            callback=_set_token_file,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    also_as: Annotated[
        list[str] | None,
        typer.Option(
            "--also-as",
            help="Send the token of another context as well, for what lies in its tenant.",
            callback=_set_also_as,
            rich_help_panel=_PANEL,
        ),
    ] = None,
    *,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Show each call, and of an error its ids, code and details.",
            callback=_set_debug,
            rich_help_panel=_PANEL,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            help="No progress and no remarks, results and errors alone.",
            callback=_set_quiet,
            rich_help_panel=_PANEL,
        ),
    ] = False,
) -> None:
    """Hold the declarations of the options that every command takes."""
