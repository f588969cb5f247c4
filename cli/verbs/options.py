"""Options that several commands take, with the names that `az` gives them."""

from typing import Annotated, TypeVar

import typer

from cli.errors import UsageProblem

Subscription = Annotated[
    str | None,
    typer.Option("--subscription", help="The subscription. [default: that of the context]"),
]
ResourceGroup = Annotated[
    str, typer.Option("--resource-group", "-g", help="The resource group, by id or name.")
]
GalleryName = Annotated[
    str, typer.Option("--gallery-name", "-r", help="The gallery, by id or full name.")
]
Definition = Annotated[
    str, typer.Option("--gallery-image-definition", "-i", help="The definition, by id.")
]
Version = Annotated[str, typer.Option("--gallery-image-version", "-e", help="The version: 1.0.0.")]
Location = Annotated[
    str, typer.Option("--location", "-l", help="The region: eastus2 or 'East US 2'.")
]
Name = Annotated[str, typer.Option("--name", "-n", help="Its name.")]
Tags = Annotated[list[str] | None, typer.Option("--tags", help="KEY=VALUE ...")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Print the operation and do not wait for it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Filter = Annotated[str, typer.Option("--filter", help="Comparisons joined by AND (AIP-160).")]
MaxItems = Annotated[
    int | None, typer.Option("--max-items", min=1, help="The most to list. [default: all]")
]
UniqueName = Annotated[
    str | None, typer.Option("--gallery-unique-name", help="A gallery shared with us.")
]
PublicName = Annotated[
    str | None, typer.Option("--public-gallery-name", help="A community gallery.")
]
AcceptTerms = Annotated[
    bool, typer.Option("--accept-terms", help="Accept the terms of a community gallery.")
]

_V = TypeVar("_V")


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Read `key=value` texts; the last one of a key counts.

    Raises:
        UsageProblem: one has no key or no `=`.
    """
    found = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageProblem(f"{text} is no value of {option}.", todo=f"Say {option} KEY=VALUE")
        found[key] = value
    return found


def exactly_one(**given: _V | None) -> str:
    """The name of the one option that is given; `_` in a name stands for `-`.

    Raises:
        UsageProblem: none is given, or several are.
    """
    found = [name for name, value in given.items() if value]
    if len(found) == 1:
        return found[0]
    options = [f"--{name.replace('_', '-')}" for name in given]
    what = "Too much is said." if found else "Something is missing."
    raise UsageProblem(what, todo=f"Say one of {', '.join(options)}")
