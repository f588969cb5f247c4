"""The commands about resources, in the words of `az sig`."""

from typing import Final

from cli.lazy import Entry

# Name of the command -> the module whose `app` it is, in the order of the help.
COMMANDS: Final[dict[str, Entry]] = {}
