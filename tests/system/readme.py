"""The commands of README.md and what they are said to print."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_DOTS: Final = re.compile(r"^\s*\.\.\.\n", re.MULTILINE)
_MARK: Final = "-- end of block --"
# What is different in every installation, and what stands for it.
_PLACEHOLDERS: Final = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r'\\"[0-9a-f]{12}-\d+\\"'), "ETAG"),
    # Bytes and sequence numbers, which JSON has as strings.
    (re.compile(r'"\d+"'), '"NUMBER"'),
)


@dataclass(frozen=True, slots=True)
class Block:
    """Commands, and what they print if that is shown."""

    commands: str
    output: str | None


def blocks(text: str, *headings: str) -> list[Block]:
    """The blocks of commands below some headings, each with the block of output behind it."""
    found: list[Block] = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        title, _, body = section.partition("\n")
        if title in headings:
            found += _of_section(body)
    return found


def _of_section(body: str) -> Iterator[Block]:
    fences = list(_FENCE.finditer(body))
    for number, fence in enumerate(fences):
        if fence[1] != "sh":
            continue
        behind = fences[number + 1] if number + 1 < len(fences) else None
        # Output stands right behind its commands.
        shown = behind is not None and behind[1] != "sh" and behind.start() == fence.end()
        yield Block(fence[2], behind[2] if behind is not None and shown else None)


def run(
    commands: list[str], folder: Path, environ: Mapping[str, str], replaced: Mapping[str, str]
) -> list[str]:
    """Run blocks in one shell, as a reader who pastes them; answer what each of them printed.

    `replaced` says what else stands in the place of the endpoints of the text.
    """
    script = "set -eu\n" + "".join(f"{block}echo; echo '{_MARK}'\n" for block in commands)
    for shown, actual in replaced.items():
        script = script.replace(shown, actual)
    done = subprocess.run(
        ["bash", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        cwd=folder,
        env=dict(environ),
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split(f"{_MARK}\n")[:-1]


def same(shown: str, printed: str) -> bool:
    """Whether an output is the one shown, where a line of three dots stands for any lines."""
    parts = [re.escape(part) for part in _DOTS.split(_general(shown))]
    return re.fullmatch("(?:.*\n)*?".join(parts), _general(printed)) is not None


def _general(text: str) -> str:
    for pattern, placeholder in _PLACEHOLDERS:
        text = pattern.sub(placeholder, text)
    return text.strip() + "\n"
