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
OrderBy = Annotated[
    str, typer.Option("--order-by", help="Fields, each with ` desc` if need be: publish_time desc.")
]
ReplicationStatus = Annotated[
    bool,
    typer.Option(
        "--replication-status/--no-replication-status", help="With the state of each region."
    ),
]
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
Etag = Annotated[str, typer.Option("--etag", help="Only if it is still this: from `show -o json`.")]
ValidateOnly = Annotated[
    bool, typer.Option("--validate-only", help="Check everything, and change nothing.")
]
Plan = Annotated[
    bool,
    typer.Option("--plan", help="Show what it would move, take and cost, and change nothing."),
]
EndOfLife = Annotated[str, typer.Option("--end-of-life-date", help="A date or time: 2031-12-31.")]
WaitFor = Annotated[str, typer.Option("--wait-for", help="accepted, home_region or all_regions.")]
TargetRegions = Annotated[
    list[str] | None,
    typer.Option(
        "--target-regions",
        help="REGION[=COUNT[=TYPE]] ...: 'eastus=2' 'westus' 'East US 2=1=Standard_ZRS'.",
    ),
]
ReplicaCount = Annotated[
    int | None,
    typer.Option("--replica-count", help="Replicas in each region that names no count."),
]
DeletionGuard = Annotated[
    bool | None,
    typer.Option(
        "--allow-replicated-location-deletion/--no-allow-replicated-location-deletion",
        help="Whether regions may be removed; not said: only by `remove-region`.",
    ),
]
BlockDeletion = Annotated[
    bool | None,
    typer.Option(
        "--block-deletion-before-end-of-life/--no-block-deletion-before-end-of-life",
        help="Whether it stays until its end of life.",
    ),
]
RegionEncryption = Annotated[
    list[str] | None,
    typer.Option(
        "--target-region-encryption",
        help="For each target region: OSSET[,LUN,SET]..., the sets that its disks have.",
    ),
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


def something(paths: list[str]) -> list[str]:
    """The paths of what an update changes.

    Raises:
        UsageProblem: nothing is to be changed.
    """
    if not paths:
        raise UsageProblem("Nothing is to be changed.", todo="Say what, as --help lists it.")
    return paths


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
